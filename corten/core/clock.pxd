# Written by tools/pxd.py from the .py beside it. Do not edit.

cimport cython

cdef extern from *:
    """
    #define CORTEN_CORE_CLOCK_NEVER ((long long)9223372036854775807LL)
    #define CORTEN_CORE_CLOCK_MICROSECOND ((long long)1000LL)
    #define CORTEN_CORE_CLOCK_MILLISECOND ((long long)1000000LL)
    #define CORTEN_CORE_CLOCK_SECOND ((long long)1000000000LL)
    """
    const long long NEVER "CORTEN_CORE_CLOCK_NEVER"
    const long long MICROSECOND "CORTEN_CORE_CLOCK_MICROSECOND"
    const long long MILLISECOND "CORTEN_CORE_CLOCK_MILLISECOND"
    const long long SECOND "CORTEN_CORE_CLOCK_SECOND"
