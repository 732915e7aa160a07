"""Has a real wpa_supplicant join by 802.1X for a unit: when, the unit's address, the namespace that it joins from, the
supplicant's file, the folder of hostapd's socket.
"""
import socket, subprocess, sys

when, station, namespace, configuration, control = sys.argv[1:]

def join():
    # It ends with this script, however that ends.
    command = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", namespace]
    command += ["stdbuf", "-oL", "/usr/sbin/wpa_supplicant"]
    command += ["-D", "wired", "-i", "eth0", "-c", configuration]
    return subprocess.Popen(command, stdout=subprocess.PIPE)

air = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
air.bind(("nic0", 0))
print("looking", flush=True)
if when == "AtStart":
    while True:
        frame = air.recv(2000)
        if frame[6:12] == bytes.fromhex(station.replace(":", "")) and b"\x35\x01\x01" in frame[282:]:
            break
while True:
    joining = join()
    for line in joining.stdout:
        if b"CTRL-EVENT-EAP-FAILURE" in line:
            break
    joining.kill()
    joining.wait()
    # Else it would not be heard for a minute.
    forget = ["/usr/sbin/hostapd_cli", "-p", control, "-i", "nic0", "deauthenticate", station]
    subprocess.run(forget, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
