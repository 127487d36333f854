// SPDX-License-Identifier: MIT
#include "events/codec.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ctevents_generated.h"

namespace
{

namespace fb = gen_events;

// Far more than any honest event needs, far less than what hurts.
constexpr unsigned max_depth = 8;
constexpr unsigned max_tables = 16;

constexpr size_t prefix_size = 2;

static_assert(int(WIRE_MONITOR_STOP) == int(fb::EventType_MonitorPowerStopEvent), "same numbers");
static_assert(int(WIRE_PLUGIN_STARTED) == int(fb::EventType_PluginStartedEvent), "same numbers");

// The prefixes by which the bus routes events: a number, low byte first.
constexpr unsigned char prefixes[WIRE_TYPE_COUNT] = { 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x10, 0x11,
	0x12, 0x20, 0x21 };

wire_text text_of(const flatbuffers::String *s)
{
	if (!s)
		return { "", 0 };
	return { s->c_str(), s->size() };
}

template <typename T>
void take_vector(const flatbuffers::Vector<T> *v, const T **ret, size_t *ret_n)
{
	*ret = v ? v->data() : nullptr;
	*ret_n = v ? v->size() : 0;
}

int refuse(char *why, size_t n, const char *reason)
{
	std::snprintf(why, n, "%s", reason);
	return -EBADMSG;
}

flatbuffers::Offset<flatbuffers::String> put(flatbuffers::FlatBufferBuilder &b, wire_text t)
{
	return b.CreateString(t.at ? t.at : "", t.at ? t.n : 0);
}

flatbuffers::Offset<void> put_event(flatbuffers::FlatBufferBuilder &b, const wire_event *e)
{
	const auto created = put(b, e->create_ts);

	switch (e->type) {
	case WIRE_PLUGIN_STARTED:
		return fb::CreatePluginStartedEvent(b, created, put(b, e->name), put(b, e->uuid))
			.Union();
	case WIRE_PLUGIN_TERMINATING:
		return fb::CreatePluginTerminatingEvent(
			b, created, put(b, e->name), put(b, e->uuid))
			.Union();
	case WIRE_PLUGIN_TERMINATE:
		return fb::CreatePluginTerminateEvent(b, created, put(b, e->name), put(b, e->uuid))
			.Union();
	case WIRE_MONITOR_START: {
		const auto pids = b.CreateVector(e->pids, e->n_pids);
		const auto types = b.CreateVector(e->types, e->n_types);

		return fb::CreateMonitorPowerStartEvent(
			b, created, pids, types, put(b, e->start_ts), e->seconds)
			.Union();
	}
	case WIRE_MONITOR_STOP:
		return fb::CreateMonitorPowerStopEvent(
			b, created, b.CreateVector(e->pids, e->n_pids))
			.Union();
	default:
		return 0;
	}
}

} // namespace

extern "C" int codec_decode(
	const void *aligned, size_t n, struct wire_event *ret, char *ret_why, size_t why_size)
{
	const auto *bytes = static_cast<const uint8_t *>(aligned);

	if (n <= prefix_size)
		return refuse(ret_why, why_size, "too short for an event");
	bytes += prefix_size;
	n -= prefix_size;
	flatbuffers::Verifier verifier(bytes, n, max_depth, max_tables);
	if (!fb::VerifyEventBuffer(verifier))
		return refuse(ret_why, why_size, "no event: the FlatBuffer is broken");

	const fb::Event *root = fb::GetEvent(bytes);
	const auto type = static_cast<unsigned>(root->event_type());
	wire_event e = {};

	if (type == 0 || type >= WIRE_TYPE_COUNT || !root->event())
		return refuse(ret_why, why_size, "no event: the union holds none that is known");
	e.type = static_cast<wire_type>(type);
	if (const auto *start = root->event_as_MonitorPowerStartEvent()) {
		e.create_ts = text_of(start->event_create_ts());
		e.start_ts = text_of(start->monitor_start_ts());
		e.seconds = start->monitor_seconds();
		take_vector(start->pids(), &e.pids, &e.n_pids);
		take_vector(start->monitor_types(), &e.types, &e.n_types);
	} else if (const auto *stop = root->event_as_MonitorPowerStopEvent()) {
		e.create_ts = text_of(stop->event_create_ts());
		take_vector(stop->pids(), &e.pids, &e.n_pids);
	} else if (const auto *terminate = root->event_as_PluginTerminateEvent()) {
		e.create_ts = text_of(terminate->event_create_ts());
		e.name = text_of(terminate->target_plugin_name());
		e.uuid = text_of(terminate->target_plugin_uuid());
	}
	*ret = e;
	return 0;
}

extern "C" int codec_encode(const struct wire_event *event, void *ret, size_t max)
{
	flatbuffers::FlatBufferBuilder b(256);
	const auto body = put_event(b, event);
	const auto type = static_cast<fb::EventType>(event->type);

	b.Finish(fb::CreateEvent(b, type, body));
	const size_t n = b.GetSize() + prefix_size;
	if (n > max)
		return -EMSGSIZE;
	auto *out = static_cast<uint8_t *>(ret);
	out[0] = prefixes[event->type];
	out[1] = 0;
	std::memcpy(out + prefix_size, b.GetBufferPointer(), b.GetSize());
	return static_cast<int>(n);
}

extern "C" unsigned char codec_prefix(enum wire_type type)
{
	return prefixes[type];
}

extern "C" const char *codec_type_name(enum wire_type type)
{
	return fb::EnumNameEventType(static_cast<fb::EventType>(type));
}
