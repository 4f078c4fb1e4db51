# handwritten: it declares the C library's calls, which Cython does not know itself

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd

    cdef struct epoll_event:
        unsigned int events
        epoll_data_t data

    unsigned int EPOLLET
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    int epoll_wait(int epoll, epoll_event *events, int most, int timeout)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)

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

    cdef struct linger:
        int l_onoff
        int l_linger

    int MSG_NOSIGNAL
    int SHUT_WR
    int SOCK_CLOEXEC
    int SOCK_NONBLOCK
    int SOL_SOCKET
    int SO_LINGER
    int accept4(int fd, sockaddr *address, socklen_t *address_len, int flags)
    ssize_t recv(int fd, void *target, size_t length, int flags)
    ssize_t send(int fd, const void *octets, size_t length, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
    int shutdown(int fd, int how)
