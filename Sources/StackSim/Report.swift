// Report: what came of a simulation.
import StackCore
/// Placeholder.
public struct SimulationReport: Sendable {}
extension Simulation { public func report() -> SimulationReport { SimulationReport() } }
