"""What setup.cfg cannot say; all else is there."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "codepush.domain._rollout",
            ["codepush/domain/_rollout.c"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            # Without a C compiler, codepush/domain/rollout.py does the same in Python.
            optional=True,
        )
    ]
)
