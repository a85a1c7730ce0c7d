#!/usr/bin/env bash
# Qt's library needs icuuc.dll, which Windows has (since 10) and Wine 10 has not.
# `scripts/qt-on-wine.sh FOLDER` puts a stand-in beside the Qt6Core.dll in FOLDER. Its
# functions convert text, which writing to a pipe does not need; one that is called
# nevertheless ends the process.
set -euo pipefail
folder=$1
tools=x86_64-w64-mingw32

names=$("$tools-objdump" -p "$folder/Qt6Core.dll" |
    awk '/DLL Name:/ { wanted = $3 == "icuuc.dll" } wanted && $2 ~ /^[0-9]+$/ { print $3 }')
[ -n "$names" ] || { echo "it does not need icuuc.dll"; exit; }
{
    echo '#include <stdlib.h>'
    for name in $names; do
        echo "__declspec(dllexport) void $name(void) { abort(); }"
    done
} | "$tools-gcc" -shared -x c -o "$folder/icuuc.dll" -
echo "made $folder/icuuc.dll, with $(wc -w <<<"$names") functions"
