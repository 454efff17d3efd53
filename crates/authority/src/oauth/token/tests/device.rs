use super::*;
use crate::oauth::clients::{CreatedClient, DEVICE};
use crate::oauth::ports::DeviceStore as _;
use crate::oauth::records::{DeviceRecord, DeviceState, GrantKind, GrantRecord};
use crate::oauth::secrets::Purpose;
use std::time::Duration;

struct Device {
    world: World,
    made: CreatedClient,
    code: String,
}

async fn device() -> Device {
    let world = world().await;
    world.user("anna").await;
    let made = world
        .client(&[DEVICE, "refresh_token"], |it| {
            it.metadata.token_endpoint_auth_method = "none".to_owned()
        })
        .await;
    let code = Purpose::Device.fresh().unwrap().expose().clone();
    let record = DeviceRecord {
        user_code: "BCDFGHJK".to_owned(),
        client: made.client.id.clone(),
        scopes: strings(&["orders:read"]),
        resources: Vec::new(),
        authorization_details: serde_json::Value::Null,
        state: DeviceState::Waiting,
        next_poll_at: world.now(),
        interval_seconds: 5,
        expires_at: world.now().plus(Duration::from_secs(600)),
    };
    let mac = Purpose::Device.mac(&world.oauth.parts.pepper, &code);
    world.store.create_device(mac, record, world.event()).await.unwrap();
    world.events();
    Device { world, made, code }
}

impl Device {
    async fn poll(&self, code: &str) -> Result<TokenResponse, ErrorCode> {
        let pairs =
            [("grant_type", DEVICE), ("device_code", code), ("client_id", &self.made.client.id)];
        self.world.oauth.token(&call(&pairs)).await.map_err(|error| error.code())
    }

    async fn decide(&self, allow: bool) {
        let grant = self.world.grant(&self.made.client, "anna", &["orders:read"]);
        let grant = allow.then_some(GrantRecord { kind: GrantKind::Device, ..grant });
        let code = "BCDFGHJK".to_owned();
        let (now, event) = (self.world.now(), self.world.event());
        assert!(self.world.store.decide_device(code, grant, now, event).await.unwrap());
    }
}

#[tokio::test]
async fn rfc8628_s3_5_pending_then_slow_down_then_tokens_once() {
    let it = device().await;
    assert_eq!(it.poll(&it.code).await.unwrap_err(), ErrorCode::AuthorizationPending);
    assert_eq!(it.poll(&it.code).await.unwrap_err(), ErrorCode::SlowDown);
    it.world.after(5);
    assert_eq!(it.poll(&it.code).await.unwrap_err(), ErrorCode::SlowDown, "the interval has grown");
    it.world.after(60);
    it.decide(true).await;
    let answer = it.poll(&it.code).await.unwrap();
    let claims = claims(&it.world, &answer, ORDERS);
    assert_eq!(claims.subject.as_deref(), Some("anna"));
    let refresh = answer.refresh_token.unwrap();
    it.world.after(60);
    assert_eq!(it.poll(&it.code).await.unwrap_err(), ErrorCode::ExpiredToken, "once");
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.expose()),
        ("client_id", &it.made.client.id),
    ];
    assert!(it.world.oauth.token(&call(&pairs)).await.is_ok());
}

#[tokio::test]
async fn rfc8628_s3_5_denied_expired_and_foreign_codes() {
    let it = device().await;
    it.decide(false).await;
    assert_eq!(it.poll(&it.code).await.unwrap_err(), ErrorCode::AccessDenied);
    for bad in ["x", &it.code.replace("pcd_", "pcr_"), &format!("{}x", it.code)] {
        assert_eq!(it.poll(bad).await.unwrap_err(), ErrorCode::InvalidGrant);
    }
    let it = device().await;
    it.world.after(600);
    assert_eq!(it.poll(&it.code).await.unwrap_err(), ErrorCode::ExpiredToken);
    let it = device().await;
    it.decide(true).await;
    let other = it
        .world
        .client(&[DEVICE], |it| it.metadata.token_endpoint_auth_method = "none".to_owned())
        .await;
    let thief = Device { made: other, ..it };
    assert_eq!(thief.poll(&thief.code).await.unwrap_err(), ErrorCode::ExpiredToken);
}
