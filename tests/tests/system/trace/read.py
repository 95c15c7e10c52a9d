"""Reads a trace with Perfetto's own message classes: `read.py FILE`. Prints what is in it."""

import collections
import sys

try:
    from google.protobuf.unknown_fields import UnknownFieldSet
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as perfetto
except ImportError as error:
    print(f"missing: {error}")
    sys.exit(0)

trace = perfetto.Trace()
with open(sys.argv[1], "rb") as file:
    trace.ParseFromString(file.read())
Type = perfetto.TrackEvent.Type
names, tracks, depth = {}, {}, collections.Counter()
begins, ends, last, counts = {}, {}, {}, collections.Counter()
for packet in trace.packet:
    for message in (packet, packet.track_event, packet.track_descriptor, packet.interned_data):
        assert not len(UnknownFieldSet(message)), message
    assert packet.trusted_packet_sequence_id == 1
    for entry in packet.interned_data.event_names:
        names[entry.iid] = entry.name
    if packet.HasField("track_descriptor"):
        tracks[packet.track_descriptor.uuid] = packet.track_descriptor
    if not packet.HasField("track_event"):
        continue
    event = packet.track_event
    track = tracks[event.track_uuid]
    if event.type == Type.TYPE_COUNTER:
        assert track.HasField("counter")
    elif event.type == Type.TYPE_SLICE_BEGIN:
        depth[event.track_uuid] += 1
        assert names[event.name_iid]
    elif event.type == Type.TYPE_SLICE_END:
        depth[event.track_uuid] -= 1
        assert depth[event.track_uuid] >= 0
    else:
        assert event.type == Type.TYPE_INSTANT and names[event.name_iid]
    if event.type != Type.TYPE_INSTANT:
        assert last.get(event.track_uuid, 0) <= packet.timestamp
        last[event.track_uuid] = packet.timestamp
    for flow in event.flow_ids:
        assert flow not in begins
        begins[flow] = packet.timestamp
    for flow in event.terminating_flow_ids:
        assert flow not in ends
        ends[flow] = packet.timestamp
    counts[Type.Name(event.type)] += 1
assert not any(depth.values())
assert begins.keys() == ends.keys()
assert all(begins[flow] <= ends[flow] for flow in begins)
threads = sorted(t.thread.thread_name for t in tracks.values() if t.HasField("thread"))
goroutines = sum(t.name.startswith("goroutine ") for t in tracks.values())
print(f"read: {len(trace.packet)} packets, {goroutines} goroutines, {len(begins)} flows")
print(f"{dict(counts)}, threads {threads}")
