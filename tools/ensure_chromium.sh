# The site tests need a Chromium; install Debian's where that is possible.
command -v chromium > /dev/null && exit 0
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -q && apt-get install -y -q chromium && exit 0
fi
echo "Expected the program chromium on the PATH: install it for the site tests." >&2
exit 1
