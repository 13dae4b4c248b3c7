// An @xmpp/client that is told what to do, a JSON object a line, and tells what it hears in the same way.
// It has no modules for what is tested, so stanzas are written and read here.
//
// node client.js HOST PORT JID PASSWORD        (NODE_EXTRA_CA_CERTS names the certificate authority)
"use strict";
const { client, xml, jid } = require("@xmpp/client");
const readline = require("node:readline");

const [host, port, address, password] = process.argv.slice(2);
const me = jid(address);
const RECEIPTS = "urn:xmpp:receipts", STATES = "http://jabber.org/protocol/chatstates", VCARD = "vcard-temp";
const MUC = "http://jabber.org/protocol/muc", USER = `${MUC}#user`, ADMIN = `${MUC}#admin`, OWNER = `${MUC}#owner`;

const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const xmpp = client({ service: `xmpp://${host}:${port}`, domain: me.domain, username: me.local, password, resource: me.resource });

const commands = {
  async message({ to, body, id, receipt }) {
    await xmpp.send(xml("message", { to, type: "chat", id }, xml("body", {}, body), receipt ? xml("request", RECEIPTS) : undefined));
  },
  async presence({ to, type, show, status }) {
    await xmpp.send(xml("presence", { to, type }, show ? xml("show", {}, show) : undefined, status ? xml("status", {}, status) : undefined));
  },
  async chatstate({ to, state }) {
    await xmpp.send(xml("message", { to, type: "chat" }, xml(state, STATES)));
  },
  async setvcard({ name, photo }) {
    await xmpp.iqCaller.set(xml("vCard", VCARD, xml("FN", {}, name),
      photo ? xml("PHOTO", {}, xml("TYPE", {}, "image/png"), xml("BINVAL", {}, photo)) : undefined));
  },
  async getvcard({ jid }) {
    const card = await xmpp.iqCaller.get(xml("vCard", VCARD), jid);
    return { name: card.getChildText("FN") ?? "", photo: (card.getChild("PHOTO")?.getChildText("BINVAL") ?? "").replace(/\s/g, "") };
  },
  async features({ jid }) {
    const info = await xmpp.iqCaller.get(xml("query", "http://jabber.org/protocol/disco#info"), jid);
    return { features: info.getChildren("feature").map((f) => f.attrs.var).sort() };
  },
  async join({ room, nick }) {
    await xmpp.send(xml("presence", { to: `${room}/${nick}` }, xml("x", MUC, xml("history", { maxstanzas: "0" }))));
  },
  async unlock({ room }) {
    await xmpp.iqCaller.set(xml("query", OWNER, xml("x", { xmlns: "jabber:x:data", type: "submit" })), room);
  },
  async say({ room, body }) {
    await xmpp.send(xml("message", { to: room, type: "groupchat" }, xml("body", {}, body)));
  },
  async subject({ room, subject }) {
    await xmpp.send(xml("message", { to: room, type: "groupchat" }, xml("subject", {}, subject)));
  },
  async nick({ room, nick }) {
    await xmpp.send(xml("presence", { to: `${room}/${nick}` }));
  },
  async private({ room, nick, body }) {
    await xmpp.send(xml("message", { to: `${room}/${nick}`, type: "chat" }, xml("body", {}, body)));
  },
  async kick({ room, nick, reason }) {
    await xmpp.iqCaller.set(xml("query", ADMIN, xml("item", { nick, role: "none" }, xml("reason", {}, reason))), room);
  },
  async ban({ room, jid, reason }) {
    await xmpp.iqCaller.set(xml("query", ADMIN, xml("item", { jid, affiliation: "outcast" }, xml("reason", {}, reason))), room);
  },
  async leave({ room, nick, status }) {
    await xmpp.send(xml("presence", { to: `${room}/${nick}`, type: "unavailable" }, xml("status", {}, status)));
  },
};

xmpp.iqCallee.set("jabber:iq:roster", "query", ({ element }) => {
  roster(element);
  return true;
});

function roster(query) {
  const items = {};
  for (const i of query.getChildren("item")) {
    items[i.attrs.jid] = { subscription: i.attrs.subscription, name: i.attrs.name ?? "", groups: i.getChildren("group").map((g) => g.text()) };
  }
  tell({ event: "roster", items });
}

xmpp.on("stanza", (s) => {
  const { from, id, type } = s.attrs;
  const muc = s.getChild("x", USER), item = muc?.getChild("item");
  if (s.is("presence") && item) {
    const codes = muc.getChildren("status").map((c) => Number(c.attrs.code)), { role, affiliation, nick } = item.attrs;
    tell({ event: "occupant", from, type: type ?? "available", status: s.getChildText("status") ?? "", codes, role, affiliation, nick,
      reason: item.getChildText("reason") ?? "", actor: item.getChild("actor")?.attrs.nick ?? "" });
  } else if (s.is("presence")) {
    tell({ event: "presence", from, type: type ?? "available", show: s.getChildText("show") ?? "", status: s.getChildText("status") ?? "" });
  } else if (s.is("message")) {
    const body = s.getChildText("body");
    if (body) tell({ event: "message", from, id, type: type ?? "normal", body });
    else if (type === "groupchat" && s.getChild("subject")) tell({ event: "subject", from, subject: s.getChildText("subject") });
    if (s.getChild("received", RECEIPTS)) tell({ event: "receipt", from, id: s.getChild("received", RECEIPTS).attrs.id });
    if (s.getChild("request", RECEIPTS)) xmpp.send(xml("message", { to: from, type }, xml("received", { xmlns: RECEIPTS, id })));
    const state = s.getChildElements().find((c) => c.attrs.xmlns === STATES);
    if (state) tell({ event: "chatstate", from, state: state.name });
  }
});

xmpp.on("error", (e) => console.error(e.message));
xmpp.on("online", async (full) => {
  roster(await xmpp.iqCaller.get(xml("query", "jabber:iq:roster")));
  await xmpp.send(xml("presence"));
  tell({ event: "online", jid: full.toString() });
  const lines = readline.createInterface({ input: process.stdin });
  for await (const line of lines) {
    const { n, do: name, args } = JSON.parse(line);
    try {
      tell({ event: "done", n, ...(await commands[name](args ?? {})) });
    } catch (e) {
      tell({ event: "done", n, error: `${e.name}: ${e.message}` });
    }
  }
  await xmpp.stop();
  process.exit(0);
});
xmpp.start().catch((e) => {
  console.error(e);
  process.exit(1);
});
