# A peer by python-zeroconf, on the loopback interface: it prints what it sees, and does what it is told.
import socket, sys
from zeroconf import IPVersion, ServiceInfo, ServiceListener, Zeroconf, ServiceBrowser

TYPE = "_presence._tcp.local."
zc = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)


def say(*what):
    print(*what, flush=True)


class Listener(ServiceListener):
    def tell(self, sign, name):
        info = zc.get_service_info(TYPE, name, timeout=3000)
        if info is None:
            return say("?", name)
        p = {k.decode(): (v or b"").decode() for k, v in info.properties.items()}
        say(sign, name[: -len(TYPE) - 1], info.parsed_addresses()[0], info.port, p.get("status"), p.get("msg", "-"), p.get("port.p2pj"))

    def add_service(self, zc, type_, name):
        self.tell("+", name)

    def update_service(self, zc, type_, name):
        self.tell("=", name)

    def remove_service(self, zc, type_, name):
        say("-", name[: -len(TYPE) - 1])


def info(name, **properties):
    return ServiceInfo(TYPE, name + "." + TYPE, addresses=[socket.inet_aton("127.0.0.1")], port=5298,
                       properties={"txtvers": "1", **properties}, server="python-peer.local.")


browser = ServiceBrowser(zc, TYPE, Listener())
say("ready")
for line in sys.stdin:
    verb, name, status = line.split()
    {"register": zc.register_service, "update": zc.update_service, "unregister": zc.unregister_service}[verb](info(name, status=status))
zc.close()
