/* A C extension for tests/test_watch.py: changes that no reading of Python can see. */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    long count;
} Counter;

static PyObject *
counter_next(Counter *self, PyObject *unused)
{
    return PyLong_FromLong(++self->count);
}

static PyObject *
counter_read(Counter *self, PyObject *unused)
{
    return PyLong_FromLong(self->count);
}

static PyMethodDef counter_methods[] = {
    {"count", (PyCFunction)counter_next, METH_NOARGS, "The next number."},
    {"read", (PyCFunction)counter_read, METH_NOARGS, "The number that was given last."},
    {NULL},
};

static PyTypeObject CounterType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hidden.Counter",
    .tp_basicsize = sizeof(Counter),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_methods = counter_methods,
    .tp_new = PyType_GenericNew,
};

/* set_attr(obj, name, value): an attribute, as setattr does. */
static PyObject *
hidden_set_attr(PyObject *module, PyObject *args)
{
    PyObject *obj, *name, *value;
    if (!PyArg_ParseTuple(args, "OOO", &obj, &name, &value) || PyObject_SetAttr(obj, name, value) < 0)
        return NULL;
    return PyBool_FromLong(1);
}

/* set_item(obj, key, value): an item, as operator.setitem does. */
static PyObject *
hidden_set_item(PyObject *module, PyObject *args)
{
    PyObject *obj, *key, *value;
    if (!PyArg_ParseTuple(args, "OOO", &obj, &key, &value) || PyObject_SetItem(obj, key, value) < 0)
        return NULL;
    return PyBool_FromLong(1);
}

/* call_of(obj, name, argument): a method is called. */
static PyObject *
hidden_call_of(PyObject *module, PyObject *args)
{
    PyObject *obj, *name, *argument;
    if (!PyArg_ParseTuple(args, "OOO", &obj, &name, &argument))
        return NULL;
    return PyObject_CallMethodOneArg(obj, name, argument);
}

static PyMethodDef hidden_methods[] = {
    {"set_attr", hidden_set_attr, METH_VARARGS, NULL},
    {"set_item", hidden_set_item, METH_VARARGS, NULL},
    {"call_of", hidden_call_of, METH_VARARGS, NULL},
    {NULL},
};

static struct PyModuleDef hidden_module = {
    PyModuleDef_HEAD_INIT, .m_name = "hidden", .m_size = -1, .m_methods = hidden_methods,
};

PyMODINIT_FUNC
PyInit_hidden(void)
{
    PyObject *module;
    if (PyType_Ready(&CounterType) < 0 || (module = PyModule_Create(&hidden_module)) == NULL)
        return NULL;
    if (PyModule_AddObjectRef(module, "Counter", (PyObject *)&CounterType) < 0)
        return NULL;
    return module;
}
