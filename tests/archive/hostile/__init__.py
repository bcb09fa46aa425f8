"""Every package that the gate must refuse, each with the reason that it must give."""

from tests.archive.hostile.contents import CONTENTS
from tests.archive.hostile.directory import DIRECTORY
from tests.archive.hostile.layout import LAYOUT
from tests.archive.hostile.making import Case
from tests.archive.hostile.names import NAMES
from tests.archive.hostile.shape import SHAPE
from tests.archive.zips import files

HOSTILE: dict[str, Case] = {
    **{
        f"name: {what}": (lambda name=name: files("CodePush/ok", name), reason)
        for what, (name, reason) in NAMES.items()
    },
    **{f"contents: {what}": case for what, case in CONTENTS.items()},
    **{f"directory: {what}": case for what, case in DIRECTORY.items()},
    **{f"layout: {what}": case for what, case in LAYOUT.items()},
    **{f"shape: {what}": case for what, case in SHAPE.items()},
}
