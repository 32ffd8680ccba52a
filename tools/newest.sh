# Try the newest of every package: an environment of its own, and the fast tests.
# Use: sh tools/newest.sh PYTHON
set -eu
here=.venv-newest
names() { grep -hE '^[a-zA-Z]' "$@" | sed 's/==.*//'; }
rm -rf "$here"
"$1" -m venv "$here"
# Jupyter Book 2 is another program; the site's own packages follow what 1 asks for
site='jupyter-book|sphinx|myst-nb|sphinx-book-theme|pydata-sphinx-theme|sphinx-design'
# torch keeps its version: newer ones bring gigabytes of a GPU's libraries
names requirements.txt requirements-test.txt | grep -vxE "$site|torch" > "$here/names.txt"
grep -h '^torch==' requirements.txt >> "$here/names.txt"
"$here/bin/pip" install -q --upgrade -r "$here/names.txt" 'jupyter-book<2'
names requirements-nodeps.txt | xargs "$here/bin/pip" install -q --no-deps
"$here/bin/pip" install -q --no-deps -e .
"$here/bin/pip" list --format freeze > "$here/versions.txt"
"$here/bin/pytest" -q -n 2 --dist loadfile --ignore tests/site --ignore tests/demos
echo "The versions are in $here/versions.txt"
