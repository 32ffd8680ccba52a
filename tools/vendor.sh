# Fetch by npm what the pages serve themselves, and lay it out with the licenses.
# Use: sh tools/vendor.sh NODE_MODULES TARGET
set -eu
modules=$1 target=$2
lost="demos show their still picture, formulas their TeX source."
mkdir -p "$target"
if ! command -v npm > /dev/null; then echo "Node is not there: $lost"; exit 0; fi
if ! npm ci --ignore-scripts --no-audit --no-fund; then
  echo "npm could not fetch its packages: $lost"; exit 0
fi
mkdir -p "$target/mathjax/output/chtml/fonts" "$target/onnxruntime"
cp "$modules/mathjax/es5/tex-chtml.js" "$modules/mathjax/LICENSE" "$target/mathjax"
cp -r "$modules/mathjax/es5/output/chtml/fonts/woff-v2" "$target/mathjax/output/chtml/fonts"
cp "$modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs" \
  "$modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm" "$target/onnxruntime"
touch "$target/stamp"
