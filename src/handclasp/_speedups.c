/* What a connection does most often, in C: the records of TLS 1.3, and HMAC for its key schedule.

   There is no cryptography here: ciphers and hashes are the objects that the Python forms call.

   `hmac_digest` and `hkdf_expand_blocks` do what crypto/hmac_key.py and crypto/hkdf.py do, by the
   hash objects that crypto/hashes.py names. They take secrets and labels of this side, and nothing
   of the peer's but hashes of it.

   `RecordKey` is one key at work in one direction. It does what `PureRecordKey` in record/record_key.py does: that is the reference, and
   stands in where this is not built. Each record is sealed or opened by one call of the AEAD of
   `cryptography` that the key was made with. What a peer sends is read in two places: the five bytes
   of a header, and the content type and padding of what the AEAD has authenticated. A record that
   is not as expected, or does not open, is left where it is and counts for nothing: the way in
   Python takes it, and words the error. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

/* Raise it here and in speedups.py with every change of what this does or offers: one that was
   built before the change is then not used with the Python after it. */
enum { REVISION = 2 };

enum { IV = 12, HEADER = 5, TAG = 16, OVERHEAD = TAG + 1, APPLICATION_DATA = 23 };

static const char START[] = {APPLICATION_DATA, 3, 3};
static const unsigned long long SEQUENCE_END = UINT64_MAX;

static struct PyModuleDef speedups;

/* A part of a buffer, for the AEAD to read or to write. It keeps the whole alive. */
typedef struct {
    PyObject_HEAD
    PyObject *owner;
    char *start;
    Py_ssize_t size;
    int readonly;
} Window;

/* What the AEAD is called with. The same objects serve for the next record, and are kept for the
   next call, unless somebody else has a reference to them. */
typedef struct {
    PyObject *nonce;
    Window *header, *input, *output;
} Arguments;

typedef struct {
    PyTypeObject *window_type;
    PyObject *encrypt_into, *decrypt_into, *data, *big;
    PyObject *from_bytes; /* of int */
    PyObject *hashes; /* HASHES of crypto/hashes.py */
    PyObject *copy, *update, *digest;
    Arguments spare;
} State;

typedef struct {
    PyObject_HEAD
    State *state; /* lives as long as the module, and so as long as the type */
    PyObject *aead, *encrypt_into, *decrypt_into;
    PyObject *iv_number; /* for the way in Python */
    unsigned long long sequence, until;
    Py_ssize_t limit;
    char takes_plain_alert;
    unsigned char iv[IV];
} RecordKey;

/* Windows */

static int
window_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    Window *window = (Window *)self;
    return PyBuffer_FillInfo(view, self, window->start, window->size, window->readonly, flags);
}

static void
window_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((Window *)self)->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot window_slots[] = {
    {Py_bf_getbuffer, window_getbuffer},
    {Py_tp_dealloc, window_dealloc},
    {0, NULL},
};

static PyType_Spec window_spec = {
    .name = "handclasp._speedups.Window",
    .basicsize = sizeof(Window),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = window_slots,
};

static int
aim(RecordKey *key, Window **at, PyObject *owner, const char *start, Py_ssize_t size, int readonly)
{
    Window *window = *at;
    if (window == NULL || Py_REFCNT(window) > 1) {
        window = PyObject_New(Window, key->state->window_type);
        if (window == NULL) {
            return -1;
        }
        window->owner = NULL;
        Py_XSETREF(*at, window);
    }
    if (window->owner == NULL) {
        window->owner = Py_NewRef(owner);
    }
    window->start = (char *)start;
    window->size = size;
    window->readonly = readonly;
    return 0;
}

/* Calls of the AEAD */

static void
clear_arguments(Arguments *arguments)
{
    Py_CLEAR(arguments->nonce);
    Py_CLEAR(arguments->header);
    Py_CLEAR(arguments->input);
    Py_CLEAR(arguments->output);
}

static int
take_arguments(RecordKey *key, Arguments *taken)
{
    if (key->aead == NULL) {
        PyErr_SetString(PyExc_ValueError, "the key was not initialized");
        return -1;
    }
    *taken = key->state->spare;
    memset(&key->state->spare, 0, sizeof(Arguments));
    return 0;
}

static void
give_back(RecordKey *key, Arguments *arguments)
{
    Window **windows[] = {&arguments->header, &arguments->input, &arguments->output};
    for (int i = 0; i < 3; i++) {
        Window *window = *windows[i];
        if (window != NULL && Py_REFCNT(window) == 1) {
            Py_CLEAR(window->owner);
        }
        else {
            Py_CLEAR(*windows[i]);
        }
    }
    clear_arguments(&key->state->spare);
    key->state->spare = *arguments;
}

/* Seal or open the record with this number, which fills `output`. */
static int
call_aead(RecordKey *key, PyObject *method, Arguments *arguments, unsigned long long sequence)
{
    if (arguments->nonce == NULL || Py_REFCNT(arguments->nonce) > 1) {
        Py_XSETREF(arguments->nonce, PyBytes_FromStringAndSize(NULL, IV));
        if (arguments->nonce == NULL) {
            return -1;
        }
    }
    /* RFC 9846 section 5.3: the IV, xored with the number. */
    unsigned char *nonce = (unsigned char *)PyBytes_AS_STRING(arguments->nonce);
    memcpy(nonce, key->iv, IV);
    for (int i = 0; i < 8; i++) {
        nonce[IV - 1 - i] ^= (unsigned char)(sequence >> (8 * i));
    }
    PyObject *stack[] = {key->aead, arguments->nonce, (PyObject *)arguments->input,
                         (PyObject *)arguments->header, (PyObject *)arguments->output};
    PyObject *written = PyObject_Vectorcall(method, stack, 5, NULL);
    if (written == NULL) {
        return -1;
    }
    Py_ssize_t size = PyLong_AsSsize_t(written);
    Py_DECREF(written);
    if (size != arguments->output->size && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the AEAD wrote less than there should be");
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Sealing */

/* `count` records of `fragment` bytes each out of the `left` bytes at `from`; the last may have
   less. */
static PyObject *
seal_records(RecordKey *key, unsigned char type, const char *from, Py_ssize_t left,
             Py_ssize_t fragment, Py_ssize_t count)
{
    if (fragment > UINT16_MAX - OVERHEAD) {
        PyErr_SetString(PyExc_OverflowError, "a record has at most 2^16 - 1 bytes");
        return NULL;
    }
    if (count > (PY_SSIZE_T_MAX - left) / (HEADER + OVERHEAD)) {
        return PyErr_NoMemory();
    }
    unsigned long long sequence = key->sequence;
    if (sequence > SEQUENCE_END - (unsigned long long)count) {
        PyObject *module = PyImport_ImportModule("handclasp.record.record_key");
        PyObject *never = module != NULL ? PyObject_CallMethod(module, "exhausted", NULL) : NULL;
        Py_XDECREF(module);
        return never;
    }
    Arguments arguments;
    if (take_arguments(key, &arguments) < 0) {
        return NULL;
    }
    /* Before anything else can run: no number comes twice. */
    key->sequence = sequence + (unsigned long long)count;
    PyObject *inner = PyBytes_FromStringAndSize(NULL, fragment + 1);
    PyObject *sealed = PyBytes_FromStringAndSize(NULL, left + count * (HEADER + OVERHEAD));
    if (inner == NULL || sealed == NULL) {
        goto error;
    }
    char *plain = PyBytes_AS_STRING(inner), *to = PyBytes_AS_STRING(sealed);
    for (; count > 0; count--) {
        Py_ssize_t size = left < fragment ? left : fragment, body = size + OVERHEAD;
        memcpy(plain, from, (size_t)size);
        plain[size] = (char)type;
        memcpy(to, START, sizeof START);
        to[3] = (char)(body >> 8);
        to[4] = (char)body;
        if (aim(key, &arguments.header, sealed, to, HEADER, 1) < 0 ||
            aim(key, &arguments.input, inner, plain, body - TAG, 1) < 0 ||
            aim(key, &arguments.output, sealed, to + HEADER, body, 0) < 0 ||
            call_aead(key, key->encrypt_into, &arguments, sequence++) < 0) {
            goto error;
        }
        from += size;
        left -= size;
        to += HEADER + body;
    }
    give_back(key, &arguments);
    Py_DECREF(inner);
    return sealed;
error:
    clear_arguments(&arguments);
    Py_XDECREF(inner);
    Py_XDECREF(sealed);
    return NULL;
}

static PyObject *
key_seal_many(PyObject *self, PyObject *args)
{
    unsigned char type;
    Py_buffer content;
    Py_ssize_t fragment;
    if (!PyArg_ParseTuple(args, "by*n:seal_many", &type, &content, &fragment)) {
        return NULL;
    }
    PyObject *sealed = NULL;
    if (fragment < 1) {
        PyErr_SetString(PyExc_ValueError, "a record has a byte of content at least");
    }
    else {
        Py_ssize_t count = content.len / fragment + (content.len % fragment != 0);
        sealed =
            seal_records((RecordKey *)self, type, content.buf, content.len, fragment, count);
    }
    PyBuffer_Release(&content);
    return sealed;
}

/* Returns -1 where `data` has no bytes in one piece: with an exception if that is an interrupt, and
   else without, as the way in Python takes it and words the error. */
static int
get_bytes(PyObject *data, Py_buffer *buffer)
{
    if (PyObject_GetBuffer(data, buffer, PyBUF_SIMPLE) < 0) {
        if (PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_Clear();
        }
        return -1;
    }
    return 0;
}

static PyObject *
key_seal_data(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    RecordKey *key = (RecordKey *)self;
    Py_buffer content;
    if (nargs != 2 || !PyList_Check(args[1])) {
        return PyErr_Format(PyExc_TypeError, "seal_data() takes data and a list");
    }
    if (get_bytes(args[0], &content) < 0) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    Py_ssize_t size = content.len;
    if (size < 1 || size > key->limit || key->sequence >= key->until) {
        PyBuffer_Release(&content);
        Py_RETURN_FALSE;
    }
    PyObject *sealed = seal_records(key, APPLICATION_DATA, content.buf, size, size, 1);
    PyBuffer_Release(&content);
    int status = sealed != NULL ? PyList_Append(args[1], sealed) : -1;
    Py_XDECREF(sealed);
    return status < 0 ? NULL : Py_NewRef(Py_True);
}

/* Opening */

/* The bytes of the record at `start`, if it is whole and may hold data that this key takes; or 0. */
static Py_ssize_t
record_at(const RecordKey *key, const char *start, Py_ssize_t left)
{
    if (left <= HEADER || memcmp(start, START, sizeof START) != 0) {
        return 0;
    }
    Py_ssize_t body = (unsigned char)start[3] << 8 | (unsigned char)start[4];
    return body > OVERHEAD && body - TAG <= key->limit && body <= left - HEADER ? HEADER + body : 0;
}

/* Open the record at `start`, which is part of `owner`. Returns 1 and the size of the data, or 0
   where it holds none or does not open. */
static int
open_record(RecordKey *key, Arguments *arguments, PyObject *owner, const char *start,
            PyObject *opened, char *to, Py_ssize_t *size)
{
    if (aim(key, &arguments->header, owner, start, HEADER, 1) < 0 ||
        aim(key, &arguments->input, owner, start + HEADER, *size + TAG, 1) < 0 ||
        aim(key, &arguments->output, opened, to, *size, 0) < 0 ||
        call_aead(key, key->decrypt_into, arguments, key->sequence) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return -1;
        }
        PyErr_Clear(); /* Python opens it once more, and says what is wrong */
        return 0;
    }
    while (*size > 0 && to[*size - 1] == 0) {
        --*size; /* padding */
    }
    return *size > 1 && to[--*size] == APPLICATION_DATA; /* empty records are not for here */
}

/* Open the records of data at the front of `size` bytes at `from`, which are part of `owner`. */
static PyObject *
open_records(RecordKey *key, PyObject *owner, const char *from, Py_ssize_t size, Py_ssize_t *used)
{
    Py_ssize_t record, room = 0, written = 0, whole = 0;
    for (; (record = record_at(key, from + whole, size - whole)) > 0; whole += record) {
        room += record - HEADER - OVERHEAD;
    }
    /* A content type stands behind each content: the last where the final NUL of `opened` will be,
       the others where the next content will be. */
    PyObject *opened = PyBytes_FromStringAndSize(NULL, room);
    Arguments arguments;
    *used = 0;
    if (opened == NULL || whole == 0) {
        return opened;
    }
    if (take_arguments(key, &arguments) < 0) {
        Py_DECREF(opened);
        return NULL;
    }
    while (*used < whole && key->sequence < key->until) {
        /* Its size is looked at again, as others may write to the buffer in the meantime. */
        record = record_at(key, from + *used, whole - *used);
        Py_ssize_t inner = record - HEADER - TAG;
        if (record == 0 || inner > room - written + 1) {
            break;
        }
        char *to = PyBytes_AS_STRING(opened) + written;
        int status = open_record(key, &arguments, owner, from + *used, opened, to, &inner);
        if (status < 0) {
            clear_arguments(&arguments);
            Py_DECREF(opened);
            return NULL;
        }
        if (status == 0) {
            break;
        }
        key->sequence++;
        *used += record;
        written += inner;
    }
    give_back(key, &arguments);
    PyBytes_AS_STRING(opened)[room] = 0;
    if (written < room) {
        Py_SETREF(opened, PyBytes_FromStringAndSize(PyBytes_AS_STRING(opened), written));
    }
    return opened;
}

/* Returns what keeps the bytes of `data` where they are, for as long as a window needs them: a view
   locks the size of what is not bytes. */
static PyObject *
owner_of(PyObject *data)
{
    return PyBytes_CheckExact(data) ? Py_NewRef(data) : PyMemoryView_FromObject(data);
}

static PyObject *
key_open_data(PyObject *self, PyObject *data)
{
    PyObject *owner = owner_of(data);
    Py_buffer buffer;
    if (owner == NULL || PyObject_GetBuffer(owner, &buffer, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(owner);
        return NULL;
    }
    Py_ssize_t used;
    PyObject *content = open_records((RecordKey *)self, owner, buffer.buf, buffer.len, &used);
    PyBuffer_Release(&buffer);
    Py_DECREF(owner);
    return content != NULL ? Py_BuildValue("(Nn)", content, used) : NULL;
}

static PyObject *
key_open_one(PyObject *self, PyObject *data)
{
    RecordKey *key = (RecordKey *)self;
    Py_buffer buffer;
    if (get_bytes(data, &buffer) < 0) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    PyObject *content = NULL, *owner = NULL;
    Py_ssize_t used = 0;
    if (buffer.len == 0 || record_at(key, buffer.buf, buffer.len) != buffer.len) {
        content = Py_NewRef(Py_None);
    }
    else if ((owner = owner_of(data)) != NULL) {
        content = open_records(key, owner, buffer.buf, buffer.len, &used);
        Py_DECREF(owner);
    }
    PyBuffer_Release(&buffer);
    if (content != NULL && used == 0) {
        Py_SETREF(content, Py_NewRef(Py_None));
    }
    return content;
}

static PyObject *
key_open_event(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    RecordKey *key = (RecordKey *)self;
    PyTypeObject *type = nargs == 2 && PyType_Check(args[1]) ? (PyTypeObject *)args[1] : NULL;
    if (type == NULL || type->tp_new != PyBaseObject_Type.tp_new) {
        return PyErr_Format(PyExc_TypeError, "open_event() takes data and a class of events");
    }
    PyObject *content = key_open_one(self, args[0]);
    if (content == NULL || content == Py_None) {
        return content;
    }
    PyObject *event = type->tp_alloc(type, 0), *events = PyList_New(1);
    /* The event may be frozen: this is what `object.__setattr__` does. */
    if (event == NULL || events == NULL ||
        PyObject_GenericSetAttr(event, key->state->data, content) < 0) {
        Py_XDECREF(event);
        Py_CLEAR(events);
    }
    else {
        PyList_SET_ITEM(events, 0, event);
    }
    Py_DECREF(content);
    return events;
}

/* HMAC (RFC 2104) and HKDF-Expand (RFC 5869), by hash objects of the interpreter */

enum { INNER = 0x36, OUTER = 0x5C };

/* A hash, and a key for it. */
typedef struct {
    PyObject *make;
    Py_ssize_t block_size;
    PyObject *shortened; /* the hash of a key that is longer than a block, or NULL */
    Py_buffer given;
    const char *key;
    Py_ssize_t key_size;
} Hmac;

/* Returns bytes: what the hash object `hash` has come to. Takes over the reference to `hash`. */
static PyObject *
finish(State *state, PyObject *hash)
{
    PyObject *digest = hash != NULL ? PyObject_CallMethodNoArgs(hash, state->digest) : NULL;
    Py_XDECREF(hash);
    if (digest != NULL && !PyBytes_CheckExact(digest)) {
        PyErr_SetString(PyExc_TypeError, "a digest is bytes");
        Py_CLEAR(digest);
    }
    return digest;
}

static void
clear_hmac(Hmac *hmac)
{
    Py_CLEAR(hmac->make);
    Py_CLEAR(hmac->shortened);
    PyBuffer_Release(&hmac->given);
}

/* Take the key. Nothing is held where that fails. */
static int
take_key(Hmac *hmac, State *state, PyObject *hash_name, PyObject *key)
{
    PyObject *entry = PyDict_GetItemWithError(state->hashes, hash_name);
    if (entry == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetObject(PyExc_KeyError, hash_name);
        }
        return -1;
    }
    if (!PyArg_ParseTuple(entry, "On", &hmac->make, &hmac->block_size) ||
        PyObject_GetBuffer(key, &hmac->given, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    Py_INCREF(hmac->make);
    hmac->shortened = NULL;
    hmac->key = hmac->given.buf;
    hmac->key_size = hmac->given.len;
    if (hmac->key_size > hmac->block_size) {
        hmac->shortened = finish(state, PyObject_CallOneArg(hmac->make, key));
        if (hmac->shortened == NULL || PyBytes_GET_SIZE(hmac->shortened) > hmac->block_size) {
            clear_hmac(hmac);
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "a digest is at most a block of its hash");
            }
            return -1;
        }
        hmac->key = PyBytes_AS_STRING(hmac->shortened);
        hmac->key_size = PyBytes_GET_SIZE(hmac->shortened);
    }
    return 0;
}

/* Returns a hash object that has taken the key under a mask, and `size` bytes of data. */
static PyObject *
start(const Hmac *hmac, unsigned char mask, const char *data, Py_ssize_t size)
{
    if (size > PY_SSIZE_T_MAX - hmac->block_size) {
        return PyErr_NoMemory();
    }
    PyObject *input = PyBytes_FromStringAndSize(NULL, hmac->block_size + size);
    if (input == NULL) {
        return NULL;
    }
    char *to = PyBytes_AS_STRING(input);
    memset(to, mask, (size_t)hmac->block_size);
    for (Py_ssize_t i = 0; i < hmac->key_size; i++) {
        to[i] = (char)(to[i] ^ hmac->key[i]);
    }
    if (size > 0) {
        memcpy(to + hmac->block_size, data, (size_t)size);
    }
    PyObject *hash = PyObject_CallOneArg(hmac->make, input);
    Py_DECREF(input);
    return hash;
}

static PyObject *
speedups_hmac_digest(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Hmac hmac;
    Py_buffer data;
    if (nargs != 3) {
        return PyErr_Format(PyExc_TypeError, "hmac_digest() takes a hash, a key and data");
    }
    State *state = PyModule_GetState(module);
    if (take_key(&hmac, state, args[0], args[1]) < 0) {
        return NULL;
    }
    PyObject *digest = NULL, *inner = NULL;
    if (PyObject_GetBuffer(args[2], &data, PyBUF_SIMPLE) == 0) {
        inner = finish(state, start(&hmac, INNER, data.buf, data.len));
        PyBuffer_Release(&data);
    }
    if (inner != NULL) {
        const char *from = PyBytes_AS_STRING(inner);
        digest = finish(state, start(&hmac, OUTER, from, PyBytes_GET_SIZE(inner)));
        Py_DECREF(inner);
    }
    clear_hmac(&hmac);
    return digest;
}

/* Returns the digest of what `keyed` has taken and of `data`; `keyed` stays as it is. */
static PyObject *
digest_with(State *state, PyObject *keyed, PyObject *data)
{
    PyObject *hash = PyObject_CallMethodNoArgs(keyed, state->copy);
    PyObject *none = hash != NULL ? PyObject_CallMethodOneArg(hash, state->update, data) : NULL;
    if (none == NULL) {
        Py_CLEAR(hash);
    }
    Py_XDECREF(none);
    return finish(state, hash);
}

static PyObject *
speedups_hkdf_expand_blocks(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Hmac hmac;
    if (nargs != 3) {
        return PyErr_Format(PyExc_TypeError, "hkdf_expand_blocks() takes a hash, a secret, infos");
    }
    State *state = PyModule_GetState(module);
    if (take_key(&hmac, state, args[0], args[1]) < 0) {
        return NULL;
    }
    PyObject *inner = start(&hmac, INNER, NULL, 0);
    PyObject *outer = inner != NULL ? start(&hmac, OUTER, NULL, 0) : NULL;
    clear_hmac(&hmac);
    /* A tuple of its own: nobody else changes it while hashes are called. */
    PyObject *infos = outer != NULL ? PySequence_Tuple(args[2]) : NULL;
    PyObject *blocks = infos != NULL ? PyList_New(PyTuple_GET_SIZE(infos)) : NULL;
    for (Py_ssize_t i = 0; blocks != NULL && i < PyTuple_GET_SIZE(infos); i++) {
        PyObject *first = digest_with(state, inner, PyTuple_GET_ITEM(infos, i));
        PyObject *block = first != NULL ? digest_with(state, outer, first) : NULL;
        Py_XDECREF(first);
        if (block == NULL) {
            Py_CLEAR(blocks);
            break;
        }
        PyList_SET_ITEM(blocks, i, block);
    }
    Py_XDECREF(infos);
    Py_XDECREF(inner);
    Py_XDECREF(outer);
    return blocks;
}

/* The class and the module */

static int
key_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"aead", "iv", "limit", NULL};
    RecordKey *key = (RecordKey *)self;
    PyObject *aead, *iv, *module = PyType_GetModuleByDef(Py_TYPE(self), &speedups);
    Py_ssize_t limit;
    if (module == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "OSn:RecordKey", names, &aead,
                                                       &iv, &limit)) {
        return -1;
    }
    if (PyBytes_GET_SIZE(iv) != IV || key->state != NULL) {
        PyErr_SetString(PyExc_ValueError, "a key is initialized once, with an IV of 12 bytes");
        return -1;
    }
    key->state = PyModule_GetState(module);
    key->limit = limit;
    key->until = SEQUENCE_END;
    memcpy(key->iv, PyBytes_AS_STRING(iv), IV);
    PyObject *type = (PyObject *)Py_TYPE(aead), *stack[] = {iv, key->state->big};
    if ((key->encrypt_into = PyObject_GetAttr(type, key->state->encrypt_into)) == NULL ||
        (key->decrypt_into = PyObject_GetAttr(type, key->state->decrypt_into)) == NULL ||
        (key->iv_number = PyObject_Vectorcall(key->state->from_bytes, stack, 2, NULL)) == NULL) {
        return -1;
    }
    key->aead = Py_NewRef(aead);
    return 0;
}

static void
key_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    RecordKey *key = (RecordKey *)self;
    Py_XDECREF(key->aead);
    Py_XDECREF(key->encrypt_into);
    Py_XDECREF(key->decrypt_into);
    Py_XDECREF(key->iv_number);
    type->tp_free(self);
    Py_DECREF(type);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

static PyMethodDef key_methods[] = {
    {"seal_many", key_seal_many, METH_VARARGS,
     "seal_many(content_type, content, fragment_size)\n--\n\n"},
    {"seal_data", FAST(key_seal_data), "seal_data(data, into)\n--\n\n"},
    {"open_data", key_open_data, METH_O, "open_data(buffer)\n--\n\n"},
    {"open_one", key_open_one, METH_O, "open_one(data)\n--\n\n"},
    {"open_event", FAST(key_open_event), "open_event(data, event_type)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef key_members[] = {
    {"aead", T_OBJECT_EX, offsetof(RecordKey, aead), READONLY, NULL},
    {"iv", T_OBJECT_EX, offsetof(RecordKey, iv_number), READONLY, NULL},
    {"sequence", T_ULONGLONG, offsetof(RecordKey, sequence), 0, NULL},
    {"until", T_ULONGLONG, offsetof(RecordKey, until), 0, NULL},
    {"limit", T_PYSSIZET, offsetof(RecordKey, limit), 0, NULL},
    {"takes_plain_alert", T_BOOL, offsetof(RecordKey, takes_plain_alert), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot key_slots[] = {
    {Py_tp_doc, "RecordKey(aead, iv, limit)\n--\n\nOne key at work, in one direction."},
    {Py_tp_init, key_init},
    {Py_tp_dealloc, key_dealloc},
    {Py_tp_methods, key_methods},
    {Py_tp_members, key_members},
    {0, NULL},
};

static PyType_Spec key_spec = {
    .name = "handclasp._speedups.RecordKey",
    .basicsize = sizeof(RecordKey),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = key_slots,
};

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *hashes = PyImport_ImportModule("handclasp.crypto.hashes");
    state->hashes = hashes != NULL ? PyObject_GetAttrString(hashes, "HASHES") : NULL;
    Py_XDECREF(hashes);
    if (state->hashes == NULL || !PyDict_Check(state->hashes)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ImportError, "HASHES is not a dict");
        }
        return -1;
    }
    state->copy = PyUnicode_InternFromString("copy");
    state->update = PyUnicode_InternFromString("update");
    state->digest = PyUnicode_InternFromString("digest");
    state->encrypt_into = PyUnicode_InternFromString("encrypt_into");
    state->decrypt_into = PyUnicode_InternFromString("decrypt_into");
    state->data = PyUnicode_InternFromString("data");
    state->big = PyUnicode_InternFromString("big");
    state->from_bytes = PyObject_GetAttrString((PyObject *)&PyLong_Type, "from_bytes");
    state->window_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &window_spec, NULL);
    PyObject *key_type = PyType_FromModuleAndSpec(module, &key_spec, NULL);
    if (key_type == NULL || state->encrypt_into == NULL || state->decrypt_into == NULL ||
        state->data == NULL || state->big == NULL || state->from_bytes == NULL ||
        state->copy == NULL || state->update == NULL || state->digest == NULL ||
        state->window_type == NULL) {
        Py_XDECREF(key_type);
        return -1;
    }
    int status = PyModule_AddType(module, (PyTypeObject *)key_type);
    Py_DECREF(key_type);
    return status < 0 ? status : PyModule_AddIntConstant(module, "REVISION", REVISION);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->window_type);
    Py_VISIT(state->hashes);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    clear_arguments(&state->spare);
    Py_CLEAR(state->window_type);
    Py_CLEAR(state->encrypt_into);
    Py_CLEAR(state->decrypt_into);
    Py_CLEAR(state->data);
    Py_CLEAR(state->big);
    Py_CLEAR(state->from_bytes);
    Py_CLEAR(state->hashes);
    Py_CLEAR(state->copy);
    Py_CLEAR(state->update);
    Py_CLEAR(state->digest);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyMethodDef module_methods[] = {
    {"hmac_digest", FAST(speedups_hmac_digest), "hmac_digest(hash_name, key, data, /)\n--\n\n"},
    {"hkdf_expand_blocks", FAST(speedups_hkdf_expand_blocks),
     "hkdf_expand_blocks(hash_name, secret, infos, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

/* Without Py_mod_gil: two threads with one key need the lock, and no build without it has this. */
static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef speedups = {
    PyModuleDef_HEAD_INIT,
    .m_name = "handclasp._speedups",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&speedups);
}
