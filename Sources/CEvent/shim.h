// libevent's own headers define _GNU_SOURCE halfway, which changes types (fd_set) that Swift also sees from its
// module of
// the C library, and the two then clash. Read first, the C library has its features settled.
#include <sys/types.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/event.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
