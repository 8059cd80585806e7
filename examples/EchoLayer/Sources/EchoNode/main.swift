// A node with the layers that come with Strata, and these.
import Strata

Strata.run(layers: Catalog.standard + [Echo.self, Guestbook.self, Archive.self], name: "EchoNode")
