import ArgumentParser
import RampartCLI

RampartCommand.main()
