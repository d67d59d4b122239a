# Read by run and keep: where a fuzzer's inputs are. Named seeds are files in tests/fuzz/corpus/NAME; what runs have
# found is one archive, tests/fuzz/corpus/NAME.tar.xz, unpacked in build-fuzz/kept/NAME; what is found new is in
# build-fuzz/corpus.
seeds_of() { echo "tests/fuzz/corpus/$1"; }
archive_of() { echo "tests/fuzz/corpus/$1.tar.xz"; }
program_of() { echo "build-fuzz/tests/fuzz/fuzz_$1"; }

# The folder of what runs have found, as the archive holds it now.
unpacked() { # NAME
    local archive kept=build-fuzz/kept/$1
    archive=$(archive_of "$1")
    if [ ! -e "$archive" ]; then
        rm -rf "$kept"
        mkdir -p "$kept"
    elif ! cmp -s "$archive" "$kept.tar.xz"; then
        rm -rf "$kept" "$kept.tar.xz"
        mkdir -p "$kept"
        tar -xJf "$archive" -C "$kept" --no-same-owner || return 1
        cp "$archive" "$kept.tar.xz"
    fi
    echo "$kept"
}

# One archive of a folder's files: the same bytes for the same files, whoever makes it and when.
pack() { # FOLDER ARCHIVE
    find "$1" -type f -printf '%P\n' | LC_ALL=C sort |
        tar -C "$1" -c --no-recursion --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 -T - |
        xz -9e -T1 >"$2"
}
