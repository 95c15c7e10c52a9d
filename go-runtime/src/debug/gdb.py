"""gdb commands for the goroutines of a program: `info goroutines` and `goroutine`.

The program carries this script in its section .debug_gdb_scripts, where gdb finds it. The commands
read the process's memory, or that of a core file. They call none of its functions, write neither
its memory nor its registers, and need no type information: `debug/gdb.rs`, which has a test that
compares WORDS, says where everything is. Memory is taken as it is found, for the process may have
stopped anywhere: what cannot be read, or makes no sense, is left out.

A parked goroutine has no thread. While one is selected, an `Unwinder` makes gdb believe that the
selected thread's newest frame was called by the goroutine, at the place where the goroutine was
suspended. (A core file has no registers that could be set instead.)

    thread's stack                 goroutine's stack
    #0 syscall  -----------------> #1 Fiber::suspend    (pc, sp and two more registers as saved)
    (#1 Worker::sleep)             #2 ...
                                   #9 job, the bottom: here the stack ends
"""

import itertools
import os

import gdb
import gdb.unwinder


def go_runtime():
    """Adds the commands. (gdb runs all scripts in one namespace, so the names below are local.)"""

    VERSION = 1
    SECTION = "go_runtime_gdb"
    # The words of `LAYOUT`, in their order.
    WORDS = """
    version words
    slab_list slab_next slab_start slab_size slab_first slab_begun
    colored colors color way_back
    fiber_size fiber_task fiber_label fiber_waiting fiber_end fiber_outer fiber_worker
    fiber_coroutine coroutine_size margin
    label_named options_name options_spawned_at
    location_size sample sample_file sample_file_len sample_line sample_column
    reasons reason_count reason_shift
    sources sources_len
    """.split()

    # More than any program has: a list that is longer has no end, because it is damaged.
    MOST_SLABS = 1 << 20
    # Bytes that are read at a time, at most.
    LONGEST = 1 << 20
    # Bytes of the longest name or path that is shown.
    LONGEST_TEXT = 4096
    # How many frames of a thread are searched for the stack of a goroutine.
    MOST_FRAMES = 1000
    # Size of a word in bytes. (Both architectures are little-endian.)
    WORD = 8
    MASK = (1 << 64) - 1
    PAGE = 4096

    class X86_64:
        """How corosensei suspends a coroutine (its `arch/x86_64.rs`)."""

        pc, sp = "rip", "rsp"
        # From the saved stack pointer on: where execution goes on, and two registers.
        saved = {"rip": 0, "rbx": 8, "rbp": 16}
        # Bytes that are popped when the coroutine goes on.
        popped = 24

    class Aarch64:
        """How corosensei suspends a coroutine (its `arch/aarch64.rs`)."""

        pc, sp = "pc", "sp"
        saved = {"x19": 0, "x29": 8, "pc": 16}
        popped = 32

    def architecture():
        name = gdb.selected_inferior().architecture().name()
        if name.startswith("i386:x86-64"):
            return X86_64
        if name.startswith("aarch64"):
            return Aarch64
        raise gdb.GdbError("goroutines have stacks on %s that this script cannot read" % name)

    def read(address, size):
        """Returns the bytes at an address; None if they cannot be read."""
        # gdb ends itself if it has no memory for a size that makes no sense.
        if size > LONGEST:
            return None
        try:
            return bytes(gdb.selected_inferior().read_memory(address, size))
        except (gdb.error, OverflowError, ValueError):
            # (gdb.MemoryError is a gdb.error.)
            return None

    def word(data, offset, size=WORD):
        return int.from_bytes(data[offset : offset + size], "little")

    def read_word(address):
        data = read(address, WORD)
        return None if data is None else word(data, 0)

    def read_text(address, size):
        if size > LONGEST_TEXT:
            return None
        data = read(address, size) if size > 0 else b""
        if data is None:
            return None
        text = data.decode("utf-8", "replace")
        return "".join(escaped(sign) for sign in text)

    ESCAPES = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r"}

    def escaped(sign):
        """Escapes a control character as dumps do: it could end the line, or control a terminal."""
        if sign < " " or "\x7f" <= sign < "\xa0":
            return ESCAPES.get(sign, "\\u{%x}" % ord(sign))
        return sign

    class Layout:
        """`LAYOUT` of the program."""

        def __init__(self):
            address = find_layout()
            if address is None:
                raise gdb.GdbError("no goroutines: the program has no go_runtime")
            data = read(address, len(WORDS) * WORD)
            if data is None:
                raise gdb.GdbError("no goroutines yet: the program is not running")
            for index, name in enumerate(WORDS):
                setattr(self, name, word(data, index * WORD))
            if self.version != VERSION or self.words != len(WORDS):
                raise gdb.GdbError(
                    "the program's go_runtime has version %d of the layout, this script is for %d"
                    % (self.version, VERSION)
                )
            self.is_colored = read(self.colored, 1) not in (None, b"\0")
            self.source_folder = read_text(self.sources, self.sources_len) or ""
            self.find_parts_of_locations()
            self.read_reasons()
            self.sites = {}

        def find_parts_of_locations(self):
            sample = read(self.sample, self.location_size)

            def find(value, size):
                if sample is not None:
                    for offset in range(0, len(sample) - size + 1, size):
                        if word(sample, offset, size) == value:
                            return offset
                return None

            parts = [find(self.sample_file, WORD), find(self.sample_file_len, WORD)]
            parts += [find(self.sample_line, 4), find(self.sample_column, 4)]
            self.parts_of_locations = None if None in parts else parts

        def read_reasons(self):
            self.reason_texts = []
            data = read(self.reasons, self.reason_count * 2 * WORD)
            for index in range(self.reason_count if data else 0):
                at = index * 2 * WORD
                text = read_text(word(data, at), word(data, at + WORD))
                self.reason_texts.append(text or "?")

        def reason(self, waiting):
            number = waiting >> self.reason_shift
            if 1 <= number <= len(self.reason_texts):
                return self.reason_texts[number - 1]
            return "waiting"

        def site(self, address):
            """Returns `file:line:column` of a `Location`."""
            if address not in self.sites:
                self.sites[address] = self.read_site(address)
            return self.sites[address]

        def read_site(self, address):
            data = read(address, self.location_size)
            if data is None or self.parts_of_locations is None:
                return None
            file, file_len, line, column = self.parts_of_locations
            path = read_text(word(data, file), word(data, file_len))
            if not path:
                return None
            return "%s:%d:%d" % (path, word(data, line, 4), word(data, column, 4))

        def label(self, label):
            """Returns the spawn site and the name that a label says."""
            if not label & self.label_named:
                return self.site(label), None
            options = label & ~self.label_named
            site = read_word(options + self.options_spawned_at)
            name = read(options + self.options_name, 3 * WORD)
            if name is not None:
                # The address, the capacity and the length of a `String`, in an order that is not
                # specified. The address is by far the largest, and the length the smallest.
                words = [word(name, offset) for offset in range(0, 3 * WORD, WORD)]
                name = read_text(max(words), min(words))
            return (self.site(site) if site else None), name

        def fiber_place(self, start, size):
            """Returns where the fiber lies in a stack (see `carved` in `stack/mod.rs`)."""
            color = start // size % self.colors if self.is_colored else 0
            highest = start + size - color * self.color - self.fiber_size - self.way_back
            return highest // self.color * self.color + self.way_back

        def slabs(self):
            """Lists the slabs: the first number, start, size of a slot, and number of slots that
            have been used."""
            seen = set()
            entry = read_word(self.slab_list)
            size_of_entry = WORD + max(
                self.slab_next, self.slab_start, self.slab_size, self.slab_first, self.slab_begun
            )
            while entry and entry not in seen and len(seen) < MOST_SLABS:
                seen.add(entry)
                data = read(entry, size_of_entry)
                if data is None:
                    return
                start, size = word(data, self.slab_start), word(data, self.slab_size)
                first, begun = word(data, self.slab_first), word(data, self.slab_begun)
                # (A number that makes no sense would be counted to for ever.)
                if size >= PAGE and size & (size - 1) == 0 and begun <= 1 << 16:
                    yield first, start, size, begun
                entry = word(data, self.slab_next)

        def stacks(self):
            """Lists the stacks that have been used: number, start and size."""
            for first, start, size, begun in self.slabs():
                for index in range(begun):
                    yield first + index, start + index * size, size

        def running(self):
            """Returns the threads that run on stacks of goroutines, by the start of the stack."""
            slabs = list(self.slabs())

            def stack_at(address):
                for _, start, size, begun in slabs:
                    if start <= address < start + size * begun:
                        return address - (address - start) % size
                return None

            found = {}
            with Selection():
                for thread in gdb.selected_inferior().threads():
                    try:
                        thread.switch()
                        # As a rule the newest frame is there. It is not while a signal handler
                        # runs, or code that has a stack of its own.
                        frames = frames_from(gdb.newest_frame())
                        for frame in itertools.islice(frames, MOST_FRAMES):
                            stack = stack_at(register(frame, "sp"))
                            if stack is not None:
                                found[stack] = thread
                                break
                    except gdb.error:
                        continue
            return found

        def goroutines(self):
            found, running = [], self.running()
            for number, start, size in self.stacks():
                goroutine = self.goroutine(number, start, size, running.get(start))
                if goroutine is not None:
                    found.append(goroutine)
            found.sort(key=lambda goroutine: goroutine.number)
            return found

        def goroutine(self, number, start, size, thread):
            place = self.fiber_place(start, size)
            data = read(place, self.fiber_size)
            if data is None:
                return None
            if word(data, self.fiber_task) == 0 or word(data, self.fiber_label) == 0:
                return None
            return Goroutine(self, number, start, size, place, data, thread)

    def find_layout():
        """Returns the address of `LAYOUT`."""
        for line in gdb.execute("info files", to_string=True).splitlines():
            # 0x1000 - 0x1100 is SECTION, or, in a library: is SECTION in FILE
            words = line.split()
            if len(words) >= 5 and words[3:5] == ["is", SECTION]:
                return int(words[0], 16)
        return None

    class Goroutine:
        """A goroutine that has a stack."""

        def __init__(self, layout, number, start, size, place, data, thread):
            self.number, self.start, self.end = number, start, start + size
            # The thread that runs on the goroutine's stack.
            self.thread = thread
            self.site, self.name = layout.label(word(data, layout.fiber_label))
            self.worker = word(data, layout.fiber_worker, 4)
            # The coroutine has the stack pointer that its stack began with, and the one that it was
            # last suspended at. No other word of it points between the stack's ends. (Unoptimized,
            # it has not the latter while it runs. For a few instructions after a suspension it is
            # still the one before.)
            at = layout.fiber_coroutine
            words = [word(data, at + offset) for offset in range(0, layout.coroutine_size, WORD)]
            pointers = [value for value in words if start < value < place]
            self.bottom = max(pointers, default=place)
            self.is_suspended = thread is None and len(pointers) > 1
            self.saved = None
            end = word(data, layout.fiber_end)
            if self.is_suspended and abs(end - min(pointers)) <= layout.margin:
                self.saved = min(pointers)
            waiting, outer = word(data, layout.fiber_waiting), word(data, layout.fiber_outer)
            if not self.is_suspended:
                self.state = "running"
            elif waiting == 0:
                self.state = "runnable"
            else:
                self.state = layout.reason(outer or waiting)

        def __str__(self):
            mark = " " if self.is_suspended else "*"
            text = "%s goroutine %d [%s]" % (mark, self.number, self.state)
            if self.name is not None:
                text += " {name: %s}" % self.name
            return "%s created at %s, on worker %d" % (text, self.site or "?", self.worker)

        def has(self, address):
            return self.start <= address < self.end

    def register(frame, name):
        return int(frame.read_register(name)) & MASK

    def frames_from(frame):
        """Lists a frame and its callers, as far as gdb finds them, and not beyond a stack's end."""
        while frame is not None and frame.is_valid():
            yield frame
            try:
                frame = frame.older()
                if frame is not None and frame.pc() == 0:
                    return
            except gdb.error:
                return

    class Selection:
        """Restores the selected thread and frame."""

        def __enter__(self):
            self.thread = gdb.selected_thread()
            try:
                self.level = gdb.selected_frame().level()
            except gdb.error:
                self.level = 0
            return self

        def __exit__(self, *_):
            # (A command may have ended the thread, or let it go on.)
            thread = self.thread
            if thread is None or not thread.is_valid() or not thread.is_stopped():
                return
            try:
                thread.switch()
                for frame in frames_from(gdb.newest_frame()):
                    if frame.level() == self.level:
                        frame.select()
                        break
            except gdb.error:
                pass

    class View:
        """Makes gdb show a goroutine's frames, on the selected thread, while it is entered.

        Its thread is the one that runs the goroutine, or else the selected one, whose newest frame
        seems to have been called by the goroutine meanwhile.
        """

        # The view that is entered.
        current = None

        def __init__(self, goroutine, layout):
            self.goroutine = goroutine
            self.layout = layout
            self.machine = architecture()
            # The levels of the goroutine's newest frame, and of the first and the last one that a
            # backtrace shows.
            self.first, self.shown = 0, None
            # The registers of the goroutine, if it is suspended, and the pc and sp of the thread.
            self.registers, self.lent = None, None

        def __enter__(self):
            self.before = Selection().__enter__()
            try:
                self.enter()
            except BaseException:
                self.leave()
                raise
            return self

        def enter(self):
            goroutine, machine = self.goroutine, self.machine
            if not goroutine.is_suspended:
                if goroutine.thread is None:
                    raise gdb.GdbError(
                        "goroutine %d is just being resumed or suspended: no thread is on its stack"
                        % goroutine.number
                    )
                goroutine.thread.switch()
            elif goroutine.saved is None or goroutine.saved == goroutine.bottom:
                raise gdb.GdbError("goroutine %d has no frames yet" % goroutine.number)
            else:
                self.registers = {machine.sp: goroutine.saved + machine.popped}
                for name, offset in machine.saved.items():
                    value = read_word(goroutine.saved + offset)
                    if value is None:
                        raise gdb.GdbError(
                            "the stack of goroutine %d cannot be read" % goroutine.number
                        )
                    self.registers[name] = value
                newest = gdb.newest_frame()
                self.lent = register(newest, machine.pc), register(newest, machine.sp)
            self.thread = gdb.selected_thread().ptid
            View.current = self
            gdb.invalidate_cached_frames()
            if self.registers is not None:
                self.first = self.find_first()
            self.select_own()

        def find_first(self):
            wanted = self.registers[self.machine.pc], self.registers[self.machine.sp]
            for frame in frames_from(gdb.newest_frame()):
                if (frame.pc(), register(frame, self.machine.sp)) == wanted:
                    return frame.level()
            raise gdb.GdbError("gdb cannot find the frames of goroutine %d" % self.goroutine.number)

        def select_own(self):
            """Selects the newest frame of the program's own code, if there is one. Backtraces begin
            there, and end with the oldest one."""
            frames = frames_from(gdb.newest_frame())
            frames = itertools.dropwhile(lambda frame: frame.level() < self.first, frames)
            frames = list(itertools.islice(frames, MOST_FRAMES))
            own = [frame for frame in frames if not is_glue(frame, self.layout)]
            newest = (own or frames)[0]
            newest.select()
            oldest = own[-1] if own and len(frames) < MOST_FRAMES else frames[-1]
            self.shown = newest.level(), oldest.level()

        def __exit__(self, *_):
            self.leave()

        def leave(self):
            View.current = None
            gdb.invalidate_cached_frames()
            self.before.__exit__()

    class FrameId:
        def __init__(self, sp, pc):
            self.sp, self.pc = sp, pc

    class GoroutineUnwinder(gdb.unwinder.Unwinder):
        """Leads from the thread's newest frame to the view's goroutine, and ends at its bottom."""

        def __init__(self):
            super().__init__("go_runtime")

        def __call__(self, pending):
            view, thread = View.current, gdb.selected_thread()
            if view is None or thread is None or thread.ptid != view.thread:
                return None
            try:
                pc = pending.read_register(view.machine.pc)
                sp = pending.read_register(view.machine.sp)
            except gdb.error:
                return None
            at = int(pc) & MASK, int(sp) & MASK
            if at[0] == 0:
                return None
            if view.registers is not None and at == view.lent:
                # (Frames of functions that are inlined there come first, and are gdb's own.)
                info = pending.create_unwind_info(FrameId(gdb.Value(view.goroutine.saved), pc))
                for name, value in view.registers.items():
                    save(pending, info, name, value)
                return info
            if view.goroutine.has(at[1]) and at[1] > view.goroutine.bottom:
                # The frame leads to where the goroutine was last resumed. gdb stops where pc is 0.
                info = pending.create_unwind_info(FrameId(sp, pc))
                save(pending, info, view.machine.pc, 0)
                save(pending, info, view.machine.sp, at[1] + 2 * WORD)
                return info
            return None

    def save(pending, info, name, value):
        kind = pending.read_register(name).type
        info.add_saved_register(name, gdb.Value(value).cast(kind))

    class GoroutineFrames:
        """A frame filter: shows the program's own frames of a view, and those between them."""

        def __init__(self):
            self.name, self.priority, self.enabled = "go_runtime", 1000, True
            gdb.frame_filters[self.name] = self

        def filter(self, frames):
            view = View.current
            if view is None or view.shown is None:
                return frames
            first, last = view.shown
            frames = itertools.dropwhile(lambda one: one.inferior_frame().level() < first, frames)
            return itertools.takewhile(lambda one: one.inferior_frame().level() <= last, frames)

    GLUE_NAMES = ("go_runtime::", "corosensei::", "stack_init_trampoline")
    GLUE_NAMES += ("core::", "std::", "alloc::", "__rust")
    GLUE_FILES = ("/corosensei-", "/rustc/", "/rustlib/src/rust/library/")

    def is_glue(frame, layout):
        """Returns whether a frame is the runtime's, or std's."""
        symtab = frame.find_sal().symtab
        if symtab is not None:
            # (Within a crate's own code the plain name is relative to the crate.)
            file = symtab.fullname()
            if layout.source_folder and layout.source_folder in file:
                return True
            if any(part in file for part in GLUE_FILES):
                return True
        name = frame.name()
        return name is None or name.lstrip("<&").startswith(GLUE_NAMES)

    def layout_of_process():
        if not hasattr(gdb.Frame, "level"):
            raise gdb.GdbError("goroutines need gdb 11 or newer")
        if gdb.selected_thread() is None:
            raise gdb.GdbError("no goroutines: the program is not running")
        # (It raises an error if words have another size.)
        architecture()
        return Layout()

    class InfoGoroutines(gdb.Command):
        """List the goroutines that have a stack.
    Usage: info goroutines [TEXT]

    With TEXT, only those whose line contains it, such as "chan receive". A star marks those that
    run. Goroutines that have not started have no stack; those with a thread of their own are
    threads (see "info threads")."""

        def __init__(self):
            super().__init__("info goroutines", gdb.COMMAND_STATUS)

        def invoke(self, argument, from_tty):
            lines = (str(goroutine) for goroutine in layout_of_process().goroutines())
            found = [line for line in lines if argument in line]
            print("\n".join(found) if found else "No goroutines.")

    class GoroutineCommand(gdb.Command):
        """Run a command in the frames of a goroutine.
    Usage: goroutine NUMBER [COMMAND]
           goroutine NAME [COMMAND]
           goroutine all [COMMAND]

    The command is "backtrace" unless given. It runs in the newest frame of the program's own code,
    and should only look: "bt", "info locals", "frame function NAME". Backtraces show the program's
    own frames, and with -no-filters all. If the goroutine does not run, the frames before its own
    are those of the thread whose registers it borrows. Numbers are those of "info goroutines"."""

        def __init__(self):
            super().__init__("goroutine", gdb.COMMAND_STACK)

        def invoke(self, argument, from_tty):
            which, _, command = argument.strip().partition(" ")
            command = command.strip() or "backtrace"
            if not which:
                raise gdb.GdbError("goroutine NUMBER [COMMAND]; the numbers are: info goroutines")
            layout = layout_of_process()
            found = [
                goroutine
                for goroutine in layout.goroutines()
                if which in ("all", str(goroutine.number), goroutine.name)
            ]
            if not found and which == "all":
                print("No goroutines.")
            elif not found:
                raise gdb.GdbError("no goroutine %s; see: info goroutines" % which)
            for index, goroutine in enumerate(found):
                if index > 0:
                    print()
                print(goroutine)
                try:
                    with View(goroutine, layout):
                        gdb.execute(command)
                except (gdb.error, gdb.GdbError) as error:
                    if len(found) == 1:
                        raise gdb.GdbError(str(error))
                    print(error)

    class Segment:
        """A part of a core file: a program header of type PT_LOAD (elf(5))."""

        def __init__(self, header):
            self.offset, self.start = word(header, 8), word(header, 16)
            self.end = self.start + word(header, 32)

    def segments_of(core):
        core.seek(0)
        head = core.read(64)
        headers, sections = word(head, 32), word(head, 40)
        size, count = word(head, 54, 2), word(head, 56, 2)
        if count == 0xFFFF:
            # There are more than fit there.
            core.seek(sections + 44)
            count = word(core.read(4), 0)
        core.seek(headers)
        found = [core.read(size) for _ in range(count)]
        return [Segment(header) for header in found if word(header, 0, 4) == 1]

    class GenerateGoroutineCoreFile(gdb.Command):
        """Save a core file with the stacks of goroutines.
    Usage: generate-goroutine-core-file [FILE]

    It runs "generate-core-file", and adds the stacks. gdb gives a mapping up where it meets a page
    that cannot be read, such as the guard pages of stacks on Linux 6.13 and newer. (The kernel does
    not.)"""

        def __init__(self):
            name = "generate-goroutine-core-file"
            super().__init__(name, gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

        def invoke(self, argument, from_tty):
            layout = layout_of_process()
            path = argument.strip() or "core.%d" % gdb.selected_inferior().pid
            gdb.execute("generate-core-file " + path)
            page = os.sysconf("SC_PAGE_SIZE")
            count = 0
            try:
                with open(os.path.expanduser(path), "r+b") as core:
                    segments = segments_of(core)
                    for _, start, size in layout.stacks():
                        count += 1
                        for at in range(start + page, start + size, LONGEST):
                            until = min(at + LONGEST, start + size)
                            self.copy(core, segments, at, read(at, until - at), page)
            except OSError as error:
                raise gdb.GdbError(str(error))
            print("Added %d stacks to %s" % (count, path))

        def copy(self, core, segments, at, data, page):
            if data is None:
                return
            for segment in segments:
                if not segment.start <= at or not at + len(data) <= segment.end:
                    continue
                for offset in range(0, len(data), page):
                    part = data[offset : offset + page]
                    # (The file has holes where memory is zero.)
                    if part.strip(b"\0"):
                        core.seek(segment.offset + at - segment.start + offset)
                        core.write(part)
                return

    gdb.unwinder.register_unwinder(None, GoroutineUnwinder(), replace=True)
    GoroutineFrames()
    InfoGoroutines()
    GenerateGoroutineCoreFile()
    GoroutineCommand()


go_runtime()
del go_runtime
