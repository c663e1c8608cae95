//! A role that serves nothing but who calls it, and callers with certificates of all kinds.

use std::{path::Path, time::Duration};

use axum::{Extension, routing::post};
use postroad_rig::{Channels, Config, Context, Identity, Peer, Role};
use stage::{Authority, Nats, authority::Issued, eventually};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, codegen::http::uri::PathAndQuery, transport::Channel};

/// The call by which a caller sees how he is seen; for the role sync, and people who are named below.
const WHO: &str = "/postroad.crm.v1.CrmService/GetRecord";

/// A stream that never ends by itself; for the same.
pub const WATCH: &str = "/postroad.crm.v1.CrmService/GetSettings";

/// A role that runs, and the folder of its certificates.
pub struct Bench {
    pub context: Context,
    pub folder: TempDir,
    _nats: Nats,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.context.shutdown.cancel();
    }
}

impl Bench {
    /// The role crm, with the certificate that it is given and further settings.
    pub async fn start(issued: &Issued, authorities: &[&Authority], settings: &str) -> Self {
        let (nats, folder) = (Nats::start(stage::nats::Options::default()).await.unwrap(), TempDir::new().unwrap());
        let port = *stage::ports::free(1).unwrap().first().unwrap();
        let files = issued.write(&folder.path().join("server"), authorities).unwrap();
        let key = folder.path().join("sealing.key");
        std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let text = format!(
            "{}[nats]\nurl = \"{}\"\n[sealing]\nkey_file = \"{}\"\n[crm]\nlisten = \"127.0.0.1:{port}\"\n[endpoints]\n\
             crm = \"https://127.0.0.1:{port}\"\nsync = \"https://127.0.0.1:{port}\"\n[access.certificates]\n\
             readers = [\"ada@contoso.example\", \"x@y.example\"]\n{settings}",
            files.section(),
            nats.url(),
            key.display(),
        );
        let config = Config::parse(&text).unwrap();
        let context = postroad_rig::start(config.into(), Role::Crm, CancellationToken::new()).await.unwrap();
        let serving = context.clone();
        context.tasks.spawn("server", async move {
            let router = axum::Router::new().route(WHO, post(who)).route(WATCH, post(watch));
            postroad_rig::serve(&serving, serving.config.crm.listen, router.into(), &[]).await
        });
        let bench = Self { context, folder, _nats: nats };
        let serves = eventually(Duration::from_secs(20), || async {
            tokio::net::TcpStream::connect(bench.context.config.crm.listen).await.ok()
        });
        serves.await.unwrap();
        bench
    }

    /// The way to the role of somebody with this certificate, or none.
    pub fn caller(&self, name: &str, issued: Option<&Issued>, authorities: &[&Authority]) -> Channels {
        let identity = identity(&self.folder.path().join(name), issued, authorities);
        Channels::new(self.context.config.endpoints.clone(), Some(identity))
    }
}

/// A certificate in a folder.
pub fn identity(folder: &Path, issued: Option<&Issued>, authorities: &[&Authority]) -> Identity {
    let none = Issued { certificate: String::new(), key: String::new() };
    let files = issued.unwrap_or(&none).write(folder, authorities).unwrap();
    let section = match issued {
        Some(_) => files.section(),
        None => format!("[tls]\nauthority_file = \"{}\"", files.authority.display()),
    };
    Identity::open(&Config::parse(&section).unwrap().tls, None).unwrap().unwrap()
}

/// Who the role says that the caller is.
pub async fn who_am_i(channel: Channel) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(WHO);
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    match client.unary(tonic::Request::new(()), path, codec).await {
        Err(status) if status.code() == Code::DataLoss => Ok(status.message().to_owned()),
        Err(status) => Err(status),
        Ok(_) => Ok(String::new()),
    }
}

/// Answers with a status, since that is what needs no contract.
async fn who(Extension(peer): Extension<Peer>) -> axum::response::Response {
    let roles: Vec<_> = Role::ALL.into_iter().filter(|role| peer.is_role(*role)).map(Role::name).collect();
    let names: Vec<_> = peer.names.iter().flat_map(|names| names.all()).collect();
    Status::data_loss(format!("{} | {}", roles.join(","), names.join(","))).into_http()
}

async fn watch() -> axum::response::Response {
    let endless = axum::body::Body::from_stream(futures::stream::pending::<Result<axum::body::Bytes, axum::Error>>());
    axum::response::Response::builder().header("content-type", "application/grpc").body(endless).unwrap()
}
