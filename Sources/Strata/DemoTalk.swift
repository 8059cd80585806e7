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

  /// All that is said, in order: a library van comes to a garden club. The files that are spoken of are shared.
  static let lines: [Line] = [
    Line("ada", "Good morning, everybody. This is a rumor: I told one neighbour, and it finds its own way from there."),
    Line("dora", "Heard you, Ada. I am no neighbour of yours, so somebody between us passed it on."),
    Line("finn", "And it came all the way to the end of the line, over Cleo and Emil."),
    Line("ada", topic: "books", "The library van comes on Thursday, to the gate by the mill. Any wishes?"),
    Line("emil", topic: "garden", "The tomatoes need tying up before that. I am four metres of string short."),
    Line("ada", to: "dora", "Dora, for you alone: do you keep the list of wishes again?"),
    Line("cleo", topic: "garden", "I have string to spare. It hangs on the nail by the gate."),
    Line("dora", to: "ada", "Of course. A private message goes from next hop to next hop; my receipt says it arrived."),
    Line("bela", topic: "weather", "Rain from the west at noon. On a topic, a rumor is easier to find again."),
    Line("finn", topic: "books", "A road atlas, please."),
    Line("ada", topic: "books", "Something about epidemics, of all things: gossip spreads just like one."),
    Line("bela", topic: "books", "A book of clouds."),
    Line("emil", topic: "books", "Tomatoes. Anything about tomatoes."),
    Line("cleo", topic: "garden", "How to tie them lies among my files: look for \"tomatoes\" or \"knots\"."),
    Line("bela", to: "cleo", "Is there string left? My clouds need none, but my beans do."),
    Line("cleo", to: "bela", "Plenty. Same nail."),
    Line("finn", topic: "weather", "Already wet out here."),
    Line("dora", topic: "books", "Your wishes are written down: look for \"wishes\" under Files."),
    Line("ada", to: "emil", "Emil, do you keep an eye on the line to Finn? He must hear when the van comes."),
    Line("emil", to: "ada", "I do. Without me nothing reaches him."),
    Line("bela", "What happens when one of us goes away? Stop Emil in his console, and watch who falls silent."),
    Line(
      "cleo", "I flood: each rumor to all neighbours at once. Faster than mongering, and more packets. See Network."),
    Line("ada", to: "finn", "Finn, can you read this? You have no routing layer, so I doubt it."),
    Line("bela", topic: "weather", "The sun is back."),
    Line("emil", topic: "garden", "All tied up. The tomatoes thank Cleo."),
    Line("dora", topic: "books", "The gate chimes: the van is here! Look for \"chime\" under Files, and play it."),
    Line("finn", topic: "books", "My atlas! It even has the road to the mill."),
    Line("emil", "The hills that evening: Cleo and I both kept the picture. Look for \"hills\", it comes from both."),
    Line("dora", "Switch a layer off under Node, and what it showed goes from the page until you switch it on again."),
  ]
}
