# handwritten
# Constants of 64 bits: as members of a C enum they would be `int` to Cython, and -1 to Python.

cdef extern from *:
    """
    #ifndef CORTEN_CORE_CLOCK
    #define CORTEN_CORE_CLOCK
    #define CORTEN_NEVER 0x7fffffffffffffffLL
    #define CORTEN_MICROSECOND 1000LL
    #define CORTEN_MILLISECOND 1000000LL
    #define CORTEN_SECOND 1000000000LL
    #endif
    """
    const long long NEVER "CORTEN_NEVER"
    const long long MICROSECOND "CORTEN_MICROSECOND"
    const long long MILLISECOND "CORTEN_MILLISECOND"
    const long long SECOND "CORTEN_SECOND"
