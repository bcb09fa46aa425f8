"""The packaging room: what is in a zip, whether devices may have it, and how to make it smaller.

Pure but for the files handed to it: no store, no storage, no web. It parses zips itself, since
Python's ``zipfile`` takes what devices read differently, and inflates with zlib.

    gate           an upload is looked into, refused, or rewritten where that helps
    recompression  the same package with smaller streams
    diffs          what a device that has one package needs for another
    signatures     whether a package is signed with a registered key
    lint           what is allowed but probably a mistake
    listing        what is in a package, as text to keep
"""
