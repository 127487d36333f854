// SPDX-License-Identifier: MIT
//! The real event engine with three external plugins: the power meter, a sender, and an observer
//! that is told when plugins begin and end; if their ports are given, too, with those that make the
//! application: one that generates images, one that scores them, and the oracle that ends it all.
//! All ports are given by the caller.
//!
//! It says `ready` on standard output when all ports are served, and the engine's own log goes to
//! standard error. It ends when all plugins have sent `plugin_command: quit`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use event_engine::errors::EngineError;
use event_engine::events::EventType;
use event_engine::plugins::{ExternalPlugin, Plugin};
use event_engine::App;
use uuid::Uuid;

/// The first byte of an event type's prefix; the second is 0.
const PLUGIN_STARTED: u8 = 0x10;
const PLUGIN_TERMINATING: u8 = 0x11;
const PLUGIN_TERMINATE: u8 = 0x12;
const MONITOR_POWER_START: u8 = 0x20;
const MONITOR_POWER_STOP: u8 = 0x21;

struct Prefix(u8);

impl EventType for Prefix {
    fn get_name(&self) -> String {
        format!("events that begin with {:02x} 00", self.0)
    }

    fn get_filter(&self) -> Result<Vec<u8>, EngineError> {
        Ok(vec![self.0, 0])
    }
}

struct External {
    name: &'static str,
    id: Uuid,
    port: i32,
    subscriptions: &'static [u8],
}

impl ExternalPlugin for External {
    fn get_tcp_port(&self) -> i32 {
        self.port
    }

    fn get_subscriptions(&self) -> Result<Vec<Box<dyn EventType>>, EngineError> {
        let boxed = |first: &u8| Box::new(Prefix(*first)) as Box<dyn EventType>;
        Ok(self.subscriptions.iter().map(boxed).collect())
    }

    fn get_id(&self) -> Uuid {
        self.id
    }

    fn get_name(&self) -> String {
        self.name.to_string()
    }
}

/// The engine starts its plugins when all of them, the external ones too, are connected: that this
/// one is started is what the caller waits for.
struct Herald;

impl Plugin for Herald {
    fn start(&self, _: zmq::Socket, _: zmq::Socket) -> Result<(), EngineError> {
        println!("ready");
        std::io::stdout().flush().expect("standard output");
        Ok(())
    }

    fn get_subscriptions(&self) -> Result<Vec<Box<dyn EventType>>, EngineError> {
        Ok(vec![])
    }

    fn get_id(&self) -> Uuid {
        Uuid::from_u128(1)
    }

    fn get_name(&self) -> String {
        "herald".to_string()
    }
}

struct StandardError;

impl log::Log for StandardError {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        eprintln!("{}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

fn serve(ports: [i32; 5], application: Option<[i32; 3]>) -> Result<(), EngineError> {
    let [publish, subscribe, power, sender, observer] = ports;
    let external = |name, id, port, subscriptions| -> Arc<Box<dyn ExternalPlugin>> {
        Arc::new(Box::new(External { name, id, port, subscriptions }))
    };
    let mut app = App::new(publish, subscribe)
        .register_plugin(Arc::new(Box::new(Herald)))
        .register_external_plugin(external(
            "ext_power_monitor_plugin",
            Uuid::from_u128(0x4a0fca25_1935_472a_8674_58f22c3a32b3),
            power,
            &[MONITOR_POWER_START, MONITOR_POWER_STOP, PLUGIN_TERMINATE],
        ))
        .register_external_plugin(external("sender", Uuid::from_u128(2), sender, &[]))
        .register_external_plugin(external(
            "observer",
            Uuid::from_u128(3),
            observer,
            &[PLUGIN_STARTED, PLUGIN_TERMINATING],
        ));
    if let Some([generating, scoring, oracle]) = application {
        for (name, id, port) in [
            ("ext_image_gen_plugin", 0xd3266646_41ec_11ed_a96f_5391348bab46, generating),
            ("ext_image_score_plugin", 0xd6e8e42a_41ec_11ed_a36f_a3dcc1cc761a, scoring),
            ("ext_oracle_plugin", 0x6e153711_9823_4ee6_b608_58e2e801db51, oracle),
        ] {
            app = app.register_external_plugin(external(
                name,
                Uuid::from_u128(id),
                port,
                &[PLUGIN_TERMINATE],
            ));
        }
    }
    app.run()
}

fn main() -> ExitCode {
    let ports: Vec<i32> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (Some(first), rest) = (ports.first_chunk::<5>(), ports.get(5..).unwrap_or(&[])) else {
        eprintln!(
            "usage: test-engine PUBLISH SUBSCRIBE POWER SENDER OBSERVER \
             [GENERATING SCORING ORACLE] (port numbers)"
        );
        return ExitCode::from(2);
    };
    log::set_logger(&StandardError).expect("no logger yet");
    log::set_max_level(log::LevelFilter::Debug);
    match serve(*first, <[i32; 3]>::try_from(rest).ok()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
