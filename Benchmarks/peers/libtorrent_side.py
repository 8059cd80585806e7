"""One libtorrent session over plain TCP, for libtorrent_peer.py; run by the Python that has libtorrent.

    libtorrent_side.py make FILE TORRENT v1|v2
    libtorrent_side.py give FOLDER TORRENT            prints its port, and gives until its input ends
    libtorrent_side.py take FOLDER TORRENT            "ready"; then for a port on its input two times in seconds:
                                                      until the file was whole, and until it called itself finished
"""
import os, sys, time

import libtorrent as lt


def make(path, torrent, version):
    flags = lt.create_torrent.v1_only if version == "v1" else lt.create_torrent.v2_only
    storage = lt.file_storage()
    lt.add_files(storage, path)
    made = lt.create_torrent(storage, flags=flags)
    lt.set_piece_hashes(made, os.path.dirname(path))
    with open(torrent, "wb") as file:
        file.write(lt.bencode(made.generate()))


def session():
    """No discovery, no UDP, no encryption, no limits; else as libtorrent comes."""
    plain = int(lt.enc_policy.pe_disabled)
    return lt.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "enable_outgoing_utp": False, "enable_incoming_utp": False,
        "in_enc_policy": plain, "out_enc_policy": plain, "allow_multiple_connections_per_ip": True,
        "upload_rate_limit": 0, "download_rate_limit": 0,
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification
        | lt.alert.category_t.storage_notification,
    })


def add(on, folder, torrent, flags):
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(torrent)
    wanted.save_path = folder
    wanted.flags = flags | lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
    return on.add_torrent(wanted)


def until(on, kinds, seconds=600):
    """Waits for an alert of these kinds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        on.wait_for_alert(1000)
        for alert in on.pop_alerts():
            if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
                raise SystemExit(alert.message())
            if isinstance(alert, kinds):
                return alert
    raise SystemExit("nothing happened")


def give(folder, torrent):
    on = session()
    # What it gives is known to be right, so that it doesn't read all of it first.
    add(on, folder, torrent, lt.torrent_flags.seed_mode)
    while not on.listen_port():
        time.sleep(0.01)
    print(on.listen_port(), flush=True)
    sys.stdin.read()


def take(folder, torrent):
    on = session()
    handle = add(on, folder, torrent, lt.torrent_flags.apply_ip_filter)
    until(on, (lt.torrent_checked_alert,))
    print("ready", flush=True)
    port = int(sys.stdin.readline())
    start = time.monotonic()
    handle.connect_peer(("127.0.0.1", port))
    until(on, (lt.torrent_finished_alert,))
    finished = time.monotonic() - start
    # Finished means that every piece is right; some still wait in its memory to be written.
    handle.flush_cache()
    until(on, (lt.cache_flushed_alert,))
    print(time.monotonic() - start, finished, flush=True)
    sys.stdin.read()


{"make": make, "give": give, "take": take}[sys.argv[1]](*sys.argv[2:])
