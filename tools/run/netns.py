"""
A network of its own for one guest: a tap in a network namespace, made and removed by us.

Nothing of the host's network is touched. The host's side of the wire has 10.77.0.1/24 and
fd77::1/64, the guest is given 10.77.0.2 and fd77::2 or finds its own. Needs root.

A socket belongs to the namespace it was made in, wherever it is used later; so socket() makes it
on a thread that has entered the namespace, and the caller stays outside.
"""

import concurrent.futures
import ctypes
import os
import socket
import subprocess

from machine import Trouble

HOST_IP4, GUEST_IP4, PREFIX4 = "10.77.0.1", "10.77.0.2", 24
HOST_IP6, GUEST_IP6, PREFIX6 = "fd77::1", "fd77::2", 64
TAP = "kiln0"
CLONE_NEWNET = 0x40000000


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise Trouble(f"The network namespace could not be made: ip {' '.join(words)}: {done.stderr.strip()}.")


class Namespace:
    def __init__(self, name=None):
        if os.geteuid() != 0:
            raise Trouble("NET=tap needs root to make a network namespace: run it with sudo, or use NET=user.")
        if not os.path.exists("/dev/net/tun"):
            raise Trouble("NET=tap needs /dev/net/tun, which this machine does not have: use NET=user.")
        self.name = name or f"kiln-{os.getpid()}"
        self.tap = TAP
        self._thread = None
        _ip("netns", "add", self.name)
        try:
            self.run("ip", "link", "set", "lo", "up")
            self.run("ip", "tuntap", "add", TAP, "mode", "tap")
            # No duplicate-address wait and no router discovery of ours: the wire is usable at once.
            for knob, value in (("accept_dad", 0), ("accept_ra", 0)):
                self.run("sh", "-c", f"echo {value} > /proc/sys/net/ipv6/conf/{TAP}/{knob}", check=False)
            self.run("ip", "addr", "add", f"{HOST_IP4}/{PREFIX4}", "dev", TAP)
            self.run("ip", "link", "set", TAP, "up")
            self.run("ip", "-6", "addr", "add", f"{HOST_IP6}/{PREFIX6}", "dev", TAP, "nodad", check=False)
        except BaseException:
            self.close()
            raise

    def prefix(self):
        """Words that make a command run inside."""
        return ["ip", "netns", "exec", self.name]

    def run(self, *command, check=True, timeout=20):
        done = subprocess.run([*self.prefix(), *command], capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise Trouble(f"In the network namespace, {' '.join(command)} failed: {done.stderr.strip()}.")
        return done

    def _enter(self):
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{self.name}") as ns:
            if libc.setns(ns.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def call(self, function, *args):
        """function(*args) on a thread that lives in the namespace."""
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter)
        return self._thread.submit(function, *args).result(60)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        return self.call(socket.socket, family, kind, protocol)

    def interface_index(self):
        return self.call(socket.if_nametoindex, TAP)

    def close(self):
        if self._thread:
            self._thread.shutdown()
            self._thread = None
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=20)
