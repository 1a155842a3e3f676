import RampartCLI

RampartCommand.start()
