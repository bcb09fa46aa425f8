"""What keeps a server or a command from starting; the messages are for its operator."""


class ServerError(Exception):
    """A process cannot start or go on; the message says why and what to do."""


class DataDirInUseError(ServerError):
    """Another ``codepush serve`` (or a command) has the data folder."""


class ListenError(ServerError):
    """The web server cannot listen on the address of the settings."""


class StoreStartError(ServerError):
    """The embedded store cannot be started or taken over."""
