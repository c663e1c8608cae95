//! Modern authentication: an application logs on with access tokens.

use mockex::{Application, Challenge, Region, ServerVersion};
use postroad_proto::profile::v1::{ProfileSettings, UpdateProfileRequest};
use prost_types::FieldMask;
use system::{
    Options,
    scene::{PROFILE, Scene, fault},
};

const ADA: &str = "ada@contoso.example";
const CLIENT_ID: &str = "7d2f0c61-0000-4000-8000-000000000001";
const SECRET: &str = "Geheim~1+&=%";

async fn scene() -> Scene {
    let application = Application {
        tenant: "contoso".to_owned(),
        client_id: CLIENT_ID.to_owned(),
        secret: Some(SECRET.to_owned()),
        certificate: None,
        token_seconds: 3600,
    };
    let regions = vec![Region::new("europe", ServerVersion::Exchange2016, [ADA])];
    let options = mockex::Options {
        challenge: Challenge::Bearer,
        application: Some(application),
        ..mockex::Options::contoso(regions)
    };
    Scene::open(options, Options::default()).await.unwrap()
}

async fn use_application(scene: &Scene, secret: &str) {
    let settings = ProfileSettings {
        client_id: CLIENT_ID.to_owned(),
        token_location: scene.deployment.exchange.token_url().unwrap(),
        password: secret.to_owned(),
        ..ProfileSettings::default()
    };
    let paths = ["client_id", "token_location", "password", "user_name"].map(str::to_owned);
    let request = UpdateProfileRequest {
        profile: PROFILE.to_owned(),
        settings: Some(settings),
        update_mask: Some(FieldMask { paths: paths.into() }),
        etag: String::new(),
    };
    scene.deployment.profiles().update_profile(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_finds_reads_and_tracks_mail() {
    let scene = scene().await;
    scene.set_up().mailbox(ADA).await.unwrap();
    let tested = scene.set_up().test_and_enable().await.unwrap();
    assert_eq!(fault(&tested[0]), "BEARER_REQUIRED", "a password is no use there");

    use_application(&scene, "wrong").await;
    let tested = scene.set_up().test_and_enable().await.unwrap();
    assert_eq!(fault(&tested[0]), "CLIENT_CREDENTIALS_REJECTED");

    use_application(&scene, SECRET).await;
    let tested = scene.set_up().test_and_enable().await.unwrap();
    assert_eq!(fault(&tested[0]), "");
    (0..5).for_each(|number| drop(scene.deliver("tokens", number, ADA).unwrap()));
    scene.wait_for("tokens", 0..5).await.unwrap();
    let before = scene.deployment.exchange.token_requests();
    (5..10).for_each(|number| drop(scene.deliver("tokens", number, ADA).unwrap()));
    scene.wait_for("tokens", 5..10).await.unwrap();
    assert_eq!(scene.deployment.exchange.token_requests(), before, "a token serves until it expires");
}
