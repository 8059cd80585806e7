"""A flow of TCP, as iperf has it: `tcp_flow.py receive HOST PORT` and `tcp_flow.py send HOST PORT CONTROL`.

The receiver says how many bytes have come whenever it is asked, with a line.
"""
import select, socket, sys


def receive(host, port):
    listener = socket.create_server((host, port))
    print("ready", flush=True)
    flow, _ = listener.accept()
    count = 0
    while True:
        ready, _, _ = select.select([flow, sys.stdin], [], [])
        if flow in ready:
            data = flow.recv(1 << 18)
            if not data:
                return
            count += len(data)
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            print(count, flush=True)


def send(host, port, control):
    flow = socket.socket()
    flow.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    flow.connect((host, port))
    data = bytes(1 << 16)
    while True:
        flow.sendall(data)


if sys.argv[1] == "receive":
    receive(sys.argv[2], int(sys.argv[3]))
else:
    send(sys.argv[2], int(sys.argv[3]), sys.argv[4])
