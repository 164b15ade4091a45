// Prints poses and events of a running `rt-pose run` with `publish.format: json`. Stop it with Ctrl-C.
//
// npm install zeromq
// node examples/subscriber.js [ADDRESS]

const zmq = require("zeromq")

async function main() {
  const socket = new zmq.Subscriber()
  socket.connect(process.argv[2] || "tcp://127.0.0.1:5790")
  socket.subscribe("pose/", "event/") // a subscription is a prefix; topics end in "/"
  for await (const [topic, text] of socket) {
    // without a run it waits
    const header = JSON.parse(text.toString())
    if (topic.toString().startsWith("pose/")) {
      const [x, y, p] = header.data[0][0] // the first individual's first keypoint; null where it is not seen
      const age = (header.age_ns / 1e6).toFixed(1)
      console.log(`frame ${header.frame}: x ${x?.toFixed(1)} y ${y?.toFixed(1)} p ${p?.toFixed(2)}, ${age} ms old`)
    } else {
      console.log(header.event.rule, header.event.outcome, header.event.reason)
    }
  }
}

main()
