// Sim: how fast the simulator delivers, and what idle nodes cost it.
import StackCore
import StackSim

func simulatedDeliveries(runs: Int) -> Figure { Figure(name: "sim.deliveriesPerSecond", value: 0, unit: "1/s") }
func idleSimulation() -> Figure { Figure(name: "sim.idle10k.residentMiB", value: 0, unit: "MiB") }
