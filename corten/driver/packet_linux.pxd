# handwritten: it declares the C library's calls, which Cython does not know itself

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t

    cdef struct sockaddr:
        unsigned short sa_family

    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen

    cdef struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type

    int MSG_DONTWAIT
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    unsigned char *CMSG_DATA(cmsghdr *control)
    size_t CMSG_LEN(size_t length)
    int getsockname(int fd, sockaddr *address, socklen_t *address_len)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t send(int fd, const void *octets, size_t length, int flags)

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec

cdef extern from "<sys/timerfd.h>" nogil:
    cdef struct itimerspec:
        timespec it_interval
        timespec it_value

    int CLOCK_MONOTONIC
    int TFD_CLOEXEC
    int TFD_NONBLOCK
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec *value, itimerspec *old)
