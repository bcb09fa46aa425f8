"""How a package is refused: a sentence that names the entry and the reason."""

from codepush.domain.errors import InvalidParameterError

_MAX_SHOWN = 100


def show(name: bytes | str) -> str:
    """Return a name as a sentence may quote it: escaped, and of at most 100 characters."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    shown = repr(text[:_MAX_SHOWN])
    return f"{shown}..." if len(text) > _MAX_SHOWN else shown


def refused(fault: str) -> InvalidParameterError:
    """Return the refusal of a whole package.

    Args:
        fault: Goes on from "The package", ends with a full stop.
    """
    return InvalidParameterError(
        f"The package {fault}", parameter="package", reason="Not a usable package"
    )


def refused_entry(name: bytes | str, fault: str) -> InvalidParameterError:
    """Return the refusal of a package for one of its entries.

    Args:
        name: Of the entry, as it is in the package.
        fault: Goes on from the name, ends with a full stop.
    """
    return refused(f"has an entry {show(name)} {fault}")
