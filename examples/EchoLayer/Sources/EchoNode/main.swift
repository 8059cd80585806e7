// A node with the layers that come with Strata, and Echo.
import Strata

Strata.run(layers: Catalog.standard + [Echo.self])
