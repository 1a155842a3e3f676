// Interrupts of every kind: timers while running and from HLT, held back and let through, between processors, NMIs, and the
// serial line's.

import Hardware

func guestMain() {
    let session = Session.open()
    Interrupts.install()
    if boot.says("echo") { return SerialLine.echo() }
    readByMemory()
    LocalAPIC.enable()
    Check.equal(read_msr(LocalAPIC.base) & 0xc00, 0xc00, "the APIC is in x2APIC mode")
    holdBack()
    localTimer()
    intervalTimer()
    realTimeClock()
    nonMaskable()
    if boot.virtualCPUCount > 1, session.features & Session.processorCreationFeature != 0 { betweenProcessors() }
    Check.equal(Seen.count(Vector.spurious), 0, "spurious interrupts")
    Console.writeLine("ticks: done")
}

/// The APIC's registers as memory, before it is in x2APIC mode.
func readByMemory() {
    guard let ghcb = GHCB.current else { return }
    func access(_ code: UInt64, _ offset: UInt64, _ value: UInt32 = 0) -> UInt64 {
        Console.flush()
        ghcb.begin()
        ghcb.set(.scratch, ghcb.buffer)
        store32(ghcb.buffer, value)
        guard ghcb.call(code, 0xfee0_0000 + offset, 4).isDone else { return .max }
        return UInt64(load32(ghcb.buffer))
    }
    Check.equal(access(0x8000_0001, 0x30) & 0xff, 0x10, "the APIC's version, read as memory")
    _ = access(0x8000_0002, 0x80, 0x50)
    Check.equal(access(0x8000_0001, 0x80), 0x50, "the task priority, written as memory")
    Check.equal(task_priority(), 5, "CR8 shows it")
    _ = access(0x8000_0002, 0x80, 0)
}

/// Interrupts wait while they are masked, come by priority, and stop at the task's.
func holdBack() {
    Seen.forget()
    LocalAPIC.sendToSelf(0x50)
    LocalAPIC.sendToSelf(0x61)
    Check.that(LocalAPIC.isRequested(0x50) && LocalAPIC.isRequested(0x61), "interrupts wait while IF is clear")
    no_interrupt_window()
    Check.equal(load64(Seen.logLength), 0, "interrupts in the shadow of STI")
    interrupt_window()
    Check.equal(load64(Seen.logLength), 2, "interrupts behind it")
    Check.equal(Seen.entry(0) << 8 | Seen.entry(1), 0x6150, "the higher priority comes first")
    set_task_priority(5)
    Check.equal(read_msr(LocalAPIC.taskPriority), 0x50, "CR8 is the APIC's task priority")
    LocalAPIC.sendToSelf(0x51)
    interrupt_window()
    Check.equal(Seen.count(0x51), 0, "interrupts that the task priority holds back")
    set_task_priority(4)
    interrupt_window()
    Check.equal(Seen.count(0x51), 1, "interrupts when it is lower")
    set_task_priority(0)
}

func localTimer() {
    write_msr(LocalAPIC.timerVector, Vector.timer)
    write_msr(LocalAPIC.initialCount, 50_000)
    Check.that(spin { Seen.count(Vector.timer) == 1 }, "the APIC's timer interrupts a loop")
    write_msr(LocalAPIC.timerVector, 1 << 17 | Vector.timer)
    write_msr(LocalAPIC.initialCount, 1_000_000)
    let start = read_tsc()
    for _ in 0..<3 { halt_for_interrupt() }
    let passed = read_tsc() - start
    Check.equal(Seen.count(Vector.timer), 4, "ticks after three halts")
    Check.that(passed > 2_900_000 && passed < 3_100_000, "three periods have passed on the time-stamp counter")
    write_msr(LocalAPIC.initialCount, 0)
}

func intervalTimer() {
    Controllers.initialize(open: 1)
    // Counter 0, both bytes, rate generator: 11932 periods, 100 Hz.
    output_byte(0x43, 0x34)
    output_byte(0x40, 0x9c)
    output_byte(0x40, 0x2e)
    let start = read_tsc()
    for _ in 0..<3 { halt_for_interrupt() }
    let passed = read_tsc() - start
    Check.equal(Seen.count(0x20), 3, "ticks of the interval timer in HLT")
    Check.that(passed > 29_900_000 && passed < 30_100_000, "thirty milliseconds have passed")
    Check.that(spin { Seen.count(0x20) == 4 }, "the interval timer interrupts a loop")
    Controllers.mask(open: 0)
    // Long enough for a tick.
    write_msr(LocalAPIC.timerVector, Vector.timer)
    write_msr(LocalAPIC.initialCount, 20_000_000)
    halt_for_interrupt()
    Check.equal(Seen.count(0x20), 4, "ticks while the controller masks the timer")
    // Mode 0 and no count: it is silent.
    output_byte(0x43, 0x30)
}

/// Periodic interrupts of the real-time clock, through the second controller.
func realTimeClock() {
    Controllers.mask(open: 1 << 2 | 1 << 8)
    output_byte(0x70, 0x0b)
    let settings = input_byte(0x71)
    output_byte(0x70, 0x0b)
    output_byte(0x71, settings | 0x40)
    for _ in 0..<2 { halt_for_interrupt() }
    output_byte(0x70, 0x0b)
    output_byte(0x71, settings)
    Check.equal(Seen.count(0x28), 2, "periods of the real-time clock")
    Controllers.mask(open: 0)
}

/// NMIs come with interrupts off, and one at a time until the guest is through with it.
func nonMaskable() {
    LocalAPIC.send(1 << 18 | 4 << 8)
    Check.equal(Seen.count(Vector.nonMaskable), 1, "NMIs")
    LocalAPIC.send(1 << 18 | 4 << 8)
    Check.equal(Seen.count(Vector.nonMaskable), 1, "NMIs while one is being handled")
    completeNonMaskable()
    Check.equal(Seen.count(Vector.nonMaskable), 2, "NMIs when the guest is through with it")
    completeNonMaskable()
}

func completeNonMaskable() {
    Console.flush()
    guard let ghcb = GHCB.current else { return }
    ghcb.begin()
    _ = ghcb.call(0x8000_0003)
}

/// Another processor is woken from HLT, and wakes this one.
func betweenProcessors() {
    store64(Seen.ready, 0)
    let area = startProcessor(1, previous: 0)
    Check.that(spin { load64(Seen.ready) == 1 }, "another processor waits")
    for round in 1...3 as ClosedRange<UInt64> {
        LocalAPIC.send(Vector.ping, to: 1)
        while Seen.count(Vector.pong) < round { halt_for_interrupt() }
    }
    Check.equal(Seen.count(Vector.ping), 3, "interrupts from this processor to the other")
    Check.equal(Seen.count(Vector.pong), 3, "answers")
    let before = Seen.count(Vector.nonMaskable)
    LocalAPIC.send(4 << 8, to: 1)
    Check.that(spin { Seen.count(Vector.nonMaskable) == before + 1 }, "an NMI reaches it")
    _ = stopProcessor(area)
}

@_cdecl("application_start")
func applicationStart(_ area: UInt64) {
    Interrupts.load()
    _ = GHCB.adopt(load64(area + 24))
    LocalAPIC.enable()
    store64(Seen.ready, 1)
    while true { halt_for_interrupt() }
}

/// Waits with interrupts on, not for ever.
func spin(_ isDone: () -> Bool) -> Bool {
    var patience = 3_000_000
    allow_interrupts()
    while !isDone() && patience > 0 {
        pause_processor()
        patience -= 1
    }
    forbid_interrupts()
    return isDone()
}
