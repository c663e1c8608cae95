//! SOAP 1.1: element trees with positions, envelopes, answers and faults.

pub mod element;
pub mod envelope;
pub mod fault;
pub mod xml;

pub use element::{Element, Namespace};
pub use envelope::Envelope;
pub use fault::SoapFault;
pub use xml::Xml;
