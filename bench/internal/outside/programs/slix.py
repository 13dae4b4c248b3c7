"""One sender or one receiver on slixmpp; see child.go for the lines it speaks."""
import asyncio
import resource
import sys
import time
import xml.etree.ElementTree as ET

import slixmpp

role, port, jid, password, cafile, to, n, tag = sys.argv[1:9]
n = int(n)

def cpu_us():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return int((r.ru_utime + r.ru_stime) * 1e6)


def say(*words):
    print(*words, flush=True)


to = slixmpp.JID(to)
texts = [('m%07d' % i, '%s %07d wherefore art thou? Deny thy father and refuse thy name, or if thou wilt not, be sworn' % (tag, i))
         for i in range(n)]


class Client(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        self.ca_certs = cafile
        self.got = 0
        self.begun = None
        self.add_event_handler('session_start', self.on_start)
        self.add_event_handler('message', self.on_message)

    def on_start(self, _):
        self.send_presence()
        asyncio.get_event_loop().add_reader(0, self.on_order)
        say('ready')

    def on_order(self):
        order = sys.stdin.readline().strip()
        if order == 'go':
            self.begun = (time.time_ns(), cpu_us())
            if role == 'sender':
                asyncio.ensure_future(self.send_all())
        else:
            if role == 'sender' and self.begun:
                say('result', self.begun[0], cpu_us() - self.begun[1])
            asyncio.get_event_loop().stop()

    async def send_all(self):
        for i, (number, body) in enumerate(texts):
            m = self.make_message(mto=to, mtype='chat', mbody=body)
            m['id'] = number
            m.xml.append(ET.Element('{urn:xmpp:sid:0}origin-id', {'id': number}))
            m.send()
            if i % 100 == 99:
                await asyncio.sleep(0)  # lets the event loop write

    def on_message(self, m):
        if m['body'].startswith(tag):
            self.got += 1
            if self.got == n and self.begun:
                say('result', time.time_ns(), cpu_us() - self.begun[1])


client = Client()
client.connect(('127.0.0.1', int(port)))
loop = asyncio.get_event_loop()
loop.call_later(120, loop.stop)
loop.run_forever()
