#!/bin/sh
# Lets burn's CUDA backend build with an LLVM that is installed, where the one it would download cannot be reached:
#
#     sh examples/local_llvm.sh 22        # the version of /usr/lib/llvm-22
#
# The build script looks for a folder that is marked as installed, and asks its llvm-config what to link.
set -eu
version=$1 bundle=23.1.0-4
installed=/usr/lib/llvm-$version
folder=${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-$bundle
mkdir -p "$folder/bin"
ln -sfn "$installed/lib" "$folder/lib"
ln -sfn "$installed/include" "$folder/include"
# Debian names one system library by its path; the build script takes names alone.
cat > "$folder/bin/llvm-config" <<EOF
#!/bin/sh
$installed/bin/llvm-config "\$@" | sed 's#/usr/lib/[^ ]*/lib\([A-Za-z0-9]*\)\.so#-l\1#g'
EOF
chmod +x "$folder/bin/llvm-config"
touch "$folder/.tracel-llvm-installed"
"$folder/bin/llvm-config" --version
