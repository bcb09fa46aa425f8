"""Groups of keys, read as of one moment; what came after its keys were looked for is there too."""
