// The strata command: all of it is in the library, so that it can be anybody's.
import Strata

Strata.run(layers: Catalog.standard)
