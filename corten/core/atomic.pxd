# handwritten
# Verbatim C: pure mode has no word for the memory order of a load or a store.

from corten.core.arena cimport Arena, Memory, out_of_range

cdef extern from *:
    """
    #ifndef CORTEN_CORE_ATOMIC
    #define CORTEN_CORE_ATOMIC
    static CYTHON_INLINE int corten_is_word(const unsigned char *at) {
        return ((size_t)at & 7) == 0;
    }
    static CYTHON_INLINE unsigned long long corten_load_acquire(const unsigned char *at) {
        return __atomic_load_n((const unsigned long long *)at, __ATOMIC_ACQUIRE);
    }
    static CYTHON_INLINE void corten_store_release(unsigned char *at, unsigned long long value) {
        __atomic_store_n((unsigned long long *)at, value, __ATOMIC_RELEASE);
    }
    static CYTHON_INLINE unsigned int corten_load_acquire32(const unsigned char *at) {
        return __atomic_load_n((const unsigned int *)at, __ATOMIC_ACQUIRE);
    }
    static CYTHON_INLINE void corten_store_release32(unsigned char *at, unsigned int value) {
        __atomic_store_n((unsigned int *)at, value, __ATOMIC_RELEASE);
    }
    static CYTHON_INLINE int corten_is_half(const unsigned char *at) {
        return ((size_t)at & 1) == 0;
    }
    static CYTHON_INLINE unsigned int corten_load_acquire16(const unsigned char *at) {
        return __atomic_load_n((const unsigned short *)at, __ATOMIC_ACQUIRE);
    }
    static CYTHON_INLINE void corten_store_release16(unsigned char *at, unsigned int value) {
        __atomic_store_n((unsigned short *)at, (unsigned short)value, __ATOMIC_RELEASE);
    }
    static CYTHON_INLINE void corten_fence(void) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    #endif
    """
    bint corten_is_word(const unsigned char *at) noexcept
    unsigned long long corten_load_acquire(const unsigned char *at) noexcept
    void corten_store_release(unsigned char *at, unsigned long long value) noexcept
    unsigned int corten_load_acquire32(const unsigned char *at) noexcept
    void corten_store_release32(unsigned char *at, unsigned int value) noexcept
    bint corten_is_half(const unsigned char *at) noexcept
    unsigned int corten_load_acquire16(const unsigned char *at) noexcept
    void corten_store_release16(unsigned char *at, unsigned int value) noexcept
    void corten_fence() noexcept

cdef inline unsigned long long load_acquire(Memory memory, Py_ssize_t at):
    if at < 0 or at > memory.size - 8 or not corten_is_word(memory._base + at):
        out_of_range(at, 8, memory.size)
    return corten_load_acquire(memory._base + at)

cdef inline int store_release(Arena memory, Py_ssize_t at, unsigned long long value) except -1:
    if at < 0 or at > memory.size - 8 or not corten_is_word(memory._base + at):
        out_of_range(at, 8, memory.size)
    corten_store_release(memory._base + at, value)
    return 0

cdef inline unsigned int load_acquire32(Memory memory, Py_ssize_t at):
    if at < 0 or at > memory.size - 4 or (<size_t>(memory._base + at)) & 3:
        out_of_range(at, 4, memory.size)
    return corten_load_acquire32(memory._base + at)

cdef inline int store_release32(Arena memory, Py_ssize_t at, unsigned int value) except -1:
    if at < 0 or at > memory.size - 4 or (<size_t>(memory._base + at)) & 3:
        out_of_range(at, 4, memory.size)
    corten_store_release32(memory._base + at, value)
    return 0

cdef inline unsigned int load_acquire16(Memory memory, Py_ssize_t at):
    if at < 0 or at > memory.size - 2 or not corten_is_half(memory._base + at):
        out_of_range(at, 2, memory.size)
    return corten_load_acquire16(memory._base + at)

cdef inline int store_release16(Arena memory, Py_ssize_t at, unsigned int value) except -1:
    if at < 0 or at > memory.size - 2 or not corten_is_half(memory._base + at):
        out_of_range(at, 2, memory.size)
    corten_store_release16(memory._base + at, value)
    return 0

cdef inline void fence() noexcept:
    corten_fence()
