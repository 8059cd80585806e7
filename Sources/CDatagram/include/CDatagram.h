// The few lines of C that Swift cannot say: recvmmsg, sendmmsg, UDP_SEGMENT, UDP_GRO.
#ifndef CDATAGRAM_H
#define CDATAGRAM_H
#endif
