"""Bodies of the seed API. Fields are spelled in camel case on the wire and in snake case here."""
