/* The hash of rollouts, for ids in ASCII; codepush/domain/rollout.py says what it is and why. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* h never leaves 64 bits: each step moves it by less than 2^33. */
static PyObject *hash_bytes(PyObject *module, PyObject *units)
{
    char *unit;
    Py_ssize_t count;
    int64_t h = 0;

    (void)module;
    if (PyBytes_AsStringAndSize(units, &unit, &count) < 0)
        return NULL;
    for (Py_ssize_t at = 0; at < count; at++)
        h = (int64_t)(int32_t)(uint32_t)((uint64_t)h << 5) - h + (unsigned char)unit[at];
    return PyLong_FromLongLong(h);
}

static PyMethodDef methods[] = {
    {"hash_bytes", hash_bytes, METH_O, "Return the hash of code units of a byte each."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_rollout", "The hash of rollouts.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__rollout(void)
{
    return PyModuleDef_Init(&definition);
}
