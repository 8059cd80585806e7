// DemoTalk: what the nodes of the demo say, so that a newcomer sees something happen and learns what it is.
import StackCore

/// The talk of the demo.
enum DemoTalk {
  /// One thing that is said: to all, on a topic or none, or to one node by name.
  struct Line {
    var who: String
    var topic: String?
    var to: String?
    var text: String
    init(_ who: String, topic: String? = nil, to: String? = nil, _ text: String) {
      self.who = who
      self.topic = topic
      self.to = to
      self.text = text
    }
  }

  /// The first lines come quickly, so that nobody looks at an empty page.
  static func pause(after count: Int) -> Duration { count < 8 ? .milliseconds(1200) : .seconds(7) }

  /// All that is said, in order.
  static let lines: [Line] = [
    Line("ada", "Good morning, everybody. This is a rumor: I told one neighbour, and it finds its own way from there."),
    Line("dora", "Heard you, Ada. I am no neighbour of yours, so somebody between us passed it on."),
    Line("finn", "And it came all the way to the end of the line, over Cleo and Emil."),
    Line("bela", topic: "weather", "Rain from the west at noon. On a topic, a rumor is easier to find again."),
    Line("emil", topic: "garden", "The tomatoes need tying up before that."),
    Line("ada", to: "dora", "Dora, this one is for you alone: a private message goes from next hop to next hop."),
    Line("cleo", topic: "garden", "I have string to spare. Tell me how much, and I leave it at the gate."),
    Line("dora", to: "ada", "It arrived, and my receipt tells you so."),
    Line("emil", topic: "garden", "Four metres will do, thank you."),
    Line("finn", topic: "weather", "Already wet out here."),
    Line("bela", "What happens when one of us goes away? Stop Emil in his console, and watch who falls silent."),
    Line("ada", to: "emil", "Emil, do you keep an eye on the line to Finn?"),
    Line(
      "cleo", "I flood: each rumor to all neighbours at once. Faster than mongering, and more packets. See Network."),
    Line("emil", to: "ada", "I do. Without me nothing reaches him."),
    Line("dora", topic: "books", "The library van comes on Thursday. Any wishes?"),
    Line("ada", topic: "books", "Something about epidemics, of all things: gossip spreads just like one."),
    Line("finn", topic: "books", "A road atlas."),
    Line("bela", to: "cleo", "Is the string still there? I could use some too."),
    Line("cleo", to: "bela", "Plenty. Same gate."),
    Line("bela", topic: "weather", "The sun is back."),
    Line("dora", "Switch a layer off under Node, and what it showed goes from the page until you switch it on again."),
    Line("ada", to: "finn", "Finn, can you read this? You have no routing layer, so I doubt it."),
    Line("emil", topic: "garden", "All tied up. The tomatoes thank Cleo."),
  ]
}
