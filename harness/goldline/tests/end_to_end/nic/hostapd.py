"""An access point's control socket, in the words of hostapd (src/ap/ctrl_iface_ap.c, src/common/wpa_ctrl.h).

It plays what a machine without a radio cannot have a real hostapd say: who has another passphrase, and how strong a
station is heard. A station is admitted when it first asks for an address on nic0, as one that has joined does.
"""
import contextlib, json, os, select, socket, sys

told = json.loads(sys.argv[1])
path, ssid, state = told["path"], told.get("ssid", "Line"), told.get("state", "ENABLED")
admits, refuses, strangers = (told.get(name, []) for name in ("admits", "refuses", "strangers"))
# Admitted without a word, as one that an open network knows already; and of a boot before.
silently, stale = told.get("silently", []), told.get("stale", [])
signals, silence = told.get("signals", []), told.get("silence")
admitted, monitors, asked = set(), [], 0

door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
door.bind(path)
air = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
air.bind(("nic0", 0))

def tell(event):
    for monitor in list(monitors):
        try:
            door.sendto(f"<3>{event}".encode(), monitor)
        except OSError:
            monitors.remove(monitor)

def answer(command):
    global asked
    word, _, rest = command.partition(" ")
    if word == "PING":
        return "PONG\n"
    if word == "STATUS":
        return (f"state={state}\nphy=phy0\nfreq=2437\nnum_sta_non_erp=0\nchannel=6\nbeacon_int=100\ndtim_period=2\n"
                f"bss[0]=nic0\nbssid[0]=02:00:00:00:00:01\nssid[0]={ssid}\nnum_sta[0]={len(admitted)}\n")
    if word == "STA" and (rest in admitted or rest in stale):
        heard = ""
        if signals:
            heard = f"rx_packets=9\ntx_packets=9\nrx_bytes=999\ntx_bytes=999\ninactive_msec=4\nsignal={signals[asked % len(signals)]}\n"
            asked += 1
        return f"{rest}\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=1\ncapability=0x431\nlisten_interval=3\n{heard}connected_time={3600 if rest in stale else 0}\n"
    return "FAIL\n"

print(os.getpid(), flush=True)
while True:
    ready, _, _ = select.select([door, air], [], [], 0.1)
    if silence and os.path.exists(silence):
        continue
    if door in ready:
        command, sender = door.recvfrom(4096)
        command = command.decode()
        if command == "ATTACH":
            monitors.append(sender)
            door.sendto(b"OK\n", sender)
            with contextlib.suppress(BrokenPipeError):
                print("attached", flush=True)
        else:
            with contextlib.suppress(OSError):
                door.sendto(answer(command).encode(), sender)
    if air in ready:
        frame = air.recv(2000)
        station = ":".join(f"{byte:02x}" for byte in frame[6:12])
        is_discover = frame[34:36] == b"\0\x44" and b"\x35\x01\x01" in frame[282:]
        if is_discover and station in silently:
            admitted.add(station)
        if is_discover and station in admits:
            admitted.add(station)
            tell(f"AP-STA-CONNECTED {station} keyid=MarkerOfASecret")
    for station in strangers:
        tell(f"AP-STA-CONNECTED {station}")
    for station in refuses:
        tell(f"AP-STA-POSSIBLE-PSK-MISMATCH {station}")
