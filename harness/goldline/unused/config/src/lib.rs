//! Nothing: rumqttd's own program reads its configuration with `config`, its library never does, and
//! only the library is built here. Were that to change, rumqttd would not compile.
