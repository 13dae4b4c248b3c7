# Parses frames with libexpat in namespace mode and answers what it saw.
# Request: 4 bytes length, 1 byte final, data. Answer: 4 bytes length, data:
# "-" and the error, or "+" and the events, separated by NUL, names as uri U+0001 local.
import sys
import xml.parsers.expat as expat


def parse(data, final):
    p = expat.ParserCreate("UTF-8", "\x01")
    p.ordered_attributes = True
    p.buffer_text = True
    out, depth = [], 0

    def start(name, attrs):
        nonlocal depth
        depth += 1
        out.append("S" + name)
        for i in range(0, len(attrs), 2):
            out.append("A" + attrs[i] + "\x02" + attrs[i + 1])

    def end(name):
        nonlocal depth
        depth -= 1
        out.append("E")

    def text(data):
        if depth == 1:
            return  # between stanzas
        if out[-1][0] == "T":
            out[-1] += data
        else:
            out.append("T" + data)

    p.StartElementHandler = start
    p.EndElementHandler = end
    p.CharacterDataHandler = text
    p.Parse(data, final)
    return "+" + "\0".join(out)


def main():
    r, w = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head = r.read(5)
        if len(head) < 5:
            return
        data = r.read(int.from_bytes(head[:4], "big"))
        try:
            answer = parse(data, head[4] == 1)
        except expat.ExpatError as e:
            answer = "-" + str(e)
        answer = answer.encode("utf-8", "surrogatepass")
        w.write(len(answer).to_bytes(4, "big") + answer)
        w.flush()


main()
