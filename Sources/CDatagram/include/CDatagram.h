// The few lines of C that Swift cannot say: recvmmsg, sendmmsg, UDP_SEGMENT, UDP_GRO.
//
// All arrays are flat and owned by the caller, so that a call allocates nothing. No function here keeps a pointer.
#ifndef CDATAGRAM_H
#define CDATAGRAM_H

// No header of the C library's sockets here: Swift would see its types twice, from here and from its own module.
#include <stdint.h>

/// The most messages that one receive or send moves.
#define CDATAGRAM_BATCH 64

/// An address and port: IPv6 in two numbers (network bytes 0-7 and 8-15, most significant first), IPv4 as its v4-mapped
/// address, the port in host order, and the scope of a link-local IPv6 address.
typedef struct {
  uint64_t high;
  uint64_t low;
  uint32_t scope;
  uint16_t port;
} cdatagram_address;

/// One message, in or out.
///
/// In: `bytes` and `capacity` say where it may go; `length`, `segment` and `address` are filled. Out: `bytes`,
/// `length`,
/// `segment` and `address` say what leaves. A `segment` above 0 means that the bytes are datagrams of that size, the
/// last of which may be shorter; 0 means that they are one datagram.
typedef struct {
  uint8_t *bytes;
  uint32_t capacity;
  uint32_t length;
  uint32_t segment;
  cdatagram_address address;
} cdatagram_message;

/// Writes an address as a `sockaddr_in` or `sockaddr_in6` for a socket of this family, into a `sockaddr_storage`. The
/// size written, or 0 when a
/// socket of the family cannot reach the address (IPv6 from an IPv4 socket).
uint32_t cdatagram_to_sockaddr(const cdatagram_address *address, int family, void *out);

/// Reads an address from a `sockaddr_in` or `sockaddr_in6`. 0, or -1 for any other family.
int cdatagram_from_sockaddr(const void *from, uint32_t size, cdatagram_address *out);

/// Receives up to `count` (at most CDATAGRAM_BATCH) messages without waiting. How many came, or minus errno.
int cdatagram_receive(int fd, cdatagram_message *messages, int count);

/// Sends up to `count` (at most CDATAGRAM_BATCH) messages without waiting. How many left, or minus the errno that the
/// first one met. A message to an address that the family cannot reach ends the batch, with EAFNOSUPPORT if it is
/// first.
int cdatagram_send(int fd, int family, const cdatagram_message *messages, int count);

/// Asks the kernel to hand over runs of datagrams in one piece (UDP_GRO). 0 if it does, or minus errno.
int cdatagram_enable_gro(int fd);

/// Whether the kernel knows UDP_SEGMENT. 0 if it does, or minus errno.
int cdatagram_probe_segment(int fd);

/// Sets "don't fragment, and let us find the path's limit" for the families the socket speaks. 0, or minus errno.
int cdatagram_forbid_fragments(int fd, int family);

/// Raises SO_RCVBUF or SO_SNDBUF to `wanted` bytes if it is smaller; answers what the kernel then allows.
int cdatagram_raise_buffer(int fd, int option, int wanted);

/// A new eventfd, non-blocking and closed on exec: what wakes an event loop. Or minus errno.
int cdatagram_wake_descriptor(void);

#endif
