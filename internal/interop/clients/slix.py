"""A slixmpp client that is told what to do, a JSON object a line, and tells what it hears in the same way.

slix.py HOST PORT JID PASSWORD CA-FILE
"""
import asyncio
import base64
import json
import sys

import slixmpp
from slixmpp.xmlstream import ET

host, port, jid, password, ca = sys.argv[1:6]


def tell(**event):
    print(json.dumps(event), flush=True)


def item_fields(item):
    payload = next(iter(item.xml), None)
    return {"id": item["id"], "tag": "" if payload is None else payload.tag, "text": "".join(item.xml.itertext())}


class Client(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        self.ca_certs = ca
        self.auto_authorize = None  # subscriptions are answered when told so
        self.auto_subscribe = False
        for plugin in ("xep_0030", "xep_0045", "xep_0050", "xep_0054", "xep_0060", "xep_0163", "xep_0115", "xep_0085"):
            self.register_plugin(plugin)
        self.register_plugin("xep_0184", {"auto_ack": True, "auto_request": False})
        for name in ("message", "receipt_received", "presence", "roster_update", "groupchat_presence", "groupchat_subject",
                     "pubsub_publish", "pubsub_retract"):
            self.add_event_handler(name, getattr(self, "on_" + name))
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("disconnected", lambda reason: self.loop.stop())
        for state in ("active", "composing", "paused", "inactive", "gone"):
            self.add_event_handler("chatstate_" + state, self.on_chatstate)

    async def on_start(self, _):
        await self.get_roster()
        await self.plugin["xep_0115"].update_caps()
        self.send_presence()
        tell(event="online", jid=self.boundjid.full)
        reader = self.reader = asyncio.StreamReader()  # kept: asyncio itself refers to it weakly only
        await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            try:
                tell(event="done", n=command["n"], **(await getattr(self, "do_" + command["do"])(**command.get("args", {})) or {}))
            except Exception as e:  # whatever it was, the test is told
                tell(event="done", n=command["n"], error=f"{type(e).__name__}: {e}")
        self.disconnect()

    def on_message(self, m):
        if m["body"]:
            tell(event="message", **{"from": m["from"].full, "id": m["id"], "type": m["type"], "body": m["body"]})

    def on_chatstate(self, m):
        tell(event="chatstate", **{"from": m["from"].full, "state": m["chat_state"]})

    def on_receipt_received(self, m):
        tell(event="receipt", **{"from": m["from"].full, "id": m["receipt"]})

    def on_presence(self, p):
        kind = "available" if p["type"] in p.showtypes else p["type"]
        tell(event="presence", **{"from": p["from"].full, "type": kind, "show": p["show"] or "", "status": p["status"]})

    def on_groupchat_presence(self, p):
        muc, item = p["muc"], p["muc"]["item"]
        tell(event="occupant", **{"from": p["from"].full, "type": "unavailable" if p["type"] == "unavailable" else "available", "status": p["status"],
                                  "codes": sorted(muc["status_codes"]), "role": item["role"], "affiliation": item["affiliation"], "nick": item["nick"],
                                  "reason": item["reason"], "actor": item["actor"]["nick"]})

    def on_groupchat_subject(self, m):
        tell(event="subject", **{"from": m["from"].full, "subject": m["subject"]})

    def on_pubsub_publish(self, m):
        items = m["pubsub_event"]["items"]
        for item in items.iterables:  # the library itself goes through items meanwhile, which is an iterator of its own
            tell(event=item.name, **{"from": m["from"].full, "node": items["node"], **item_fields(item)})

    on_pubsub_retract = on_pubsub_publish

    def on_roster_update(self, iq):
        tell(event="roster", items={str(j): {"subscription": i["subscription"], "name": i["name"], "groups": list(i["groups"])}
                                    for j, i in iq["roster"]["items"].items()})

    async def do_message(self, to, body, id="", receipt=False):
        m = self.make_message(mto=to, mbody=body, mtype="chat")
        if id:
            m["id"] = id
        if receipt:
            m["request_receipt"] = True
        m.send()

    async def do_presence(self, to=None, type=None, show=None, status=None):
        self.send_presence(pto=to, ptype=type, pshow=show, pstatus=status)

    async def do_chatstate(self, to, state):
        m = self.make_message(mto=to, mtype="chat")
        m["chat_state"] = state
        m.send()

    async def do_setvcard(self, name, photo=""):
        card = self.plugin["xep_0054"].make_vcard()
        card["FN"] = name
        if photo:
            card["PHOTO"]["TYPE"] = "image/png"
            card["PHOTO"]["BINVAL"] = base64.b64decode(photo)
        await self.plugin["xep_0054"].publish_vcard(card)

    async def do_getvcard(self, jid):
        card = (await self.plugin["xep_0054"].get_vcard(jid))["vcard_temp"]
        return {"name": card["FN"], "photo": base64.b64encode(card["PHOTO"]["BINVAL"] or b"").decode()}

    async def do_features(self, jid):
        info = await self.plugin["xep_0030"].get_info(jid=jid, local=False, cached=False)
        return {"features": sorted(info["disco_info"]["features"])}

    async def do_offer(self, node, name):
        def ask(iq, session):
            form = self.plugin["xep_0004"].make_form("form", "Who are you?")
            form.add_field(var="name", ftype="text-single", label="Name", required=True)
            session["payload"], session["next"], session["has_next"] = form, greet, False
            return session

        def greet(form, session):
            session["payload"], session["next"] = None, None
            session["notes"] = [("info", "Hello, " + form.get_values()["name"] + "!")]
            return session

        self.plugin["xep_0050"].add_command(node=node, name=name, handler=ask)

    async def do_run(self, jid, node, name):
        commands = self.plugin["xep_0050"]
        items = (await commands.get_commands(jid=slixmpp.JID(jid)))["disco_items"]["items"]
        first = (await commands.send_command(jid, node))["command"]
        form = first["form"]
        form["type"] = "submit"
        form.set_values({"name": name})
        last = (await commands.send_command(jid, node, action=first["actions"].pop(), payload=form, sessionid=first["sessionid"]))["command"]
        return {"offered": [i[2] for i in items], "status": last["status"], "notes": [n[1] for n in last["notes"]]}

    async def do_publish(self, node, id, payload, service=None):
        await self.plugin["xep_0060"].publish(service, node, id=id, payload=ET.fromstring(payload))

    async def do_retract(self, node, id, service=None):
        await self.plugin["xep_0060"].retract(service, node, id, notify=True)

    async def do_subscribe(self, service, node):
        return {"state": (await self.plugin["xep_0060"].subscribe(service, node))["pubsub"]["subscription"]["subscription"]}

    async def do_unsubscribe(self, service, node):
        await self.plugin["xep_0060"].unsubscribe(service, node)

    async def do_items(self, service, node):
        return {"items": [item_fields(i) for i in (await self.plugin["xep_0060"].get_items(service, node))["pubsub"]["items"].iterables]}

    async def do_interest(self, node):
        self.plugin["xep_0163"].add_interest(node)
        await self.plugin["xep_0115"].update_caps()

    async def do_join(self, room, nick):
        await self.plugin["xep_0045"].join_muc_wait(room, nick, maxstanzas=0, timeout=10)

    async def do_unlock(self, room):
        await self.plugin["xep_0045"].set_room_config(room, self.plugin["xep_0004"].make_form("submit"))

    async def do_say(self, room, body):
        self.send_message(mto=room, mbody=body, mtype="groupchat")

    async def do_subject(self, room, subject):
        self.plugin["xep_0045"].set_subject(room, subject)

    async def do_nick(self, room, nick):
        self.send_presence(pto=f"{room}/{nick}")

    async def do_private(self, room, nick, body):
        self.send_message(mto=f"{room}/{nick}", mbody=body, mtype="chat")

    async def do_kick(self, room, nick, reason):
        await self.plugin["xep_0045"].set_role(room, nick, "none", reason=reason)

    async def do_ban(self, room, jid, reason):
        await self.plugin["xep_0045"].set_affiliation(room, "outcast", jid=jid, reason=reason)

    async def do_leave(self, room, nick, status):  # leave_muc forgets the room before it confirms
        self.send_presence(pto=f"{room}/{nick}", ptype="unavailable", pstatus=status)


client = Client()
client.connect((host, int(port)))
client.loop.run_forever()
